//! The compression codecs of record batches, streaming in both directions.
//!
//! Snappy is framed as Java does it (xerial blocks of 32 KiB); librdkafka's single raw block is
//! read as well. LZ4 frames are written with independent blocks, the only ones that Java reads.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// No batch is decompressed beyond this; a batch that claims more is left as it is.
const MAX_PLAIN_BYTES: u64 = 1 << 30;
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version and lowest compatible version.
const XERIAL_HEADER: usize = 16;
const XERIAL_BLOCK: usize = 32 << 10;
/// Snappy cannot compress better than this, so a larger claim is a lie.
const SNAPPY_MAX_RATIO: usize = 24;

/// The plain bytes of the records.
pub(crate) fn reader<'a>(codec: i16, bytes: &'a [u8]) -> io::Result<Box<dyn BufRead + 'a>> {
    let limit = |reader: Box<dyn Read + 'a>| -> Box<dyn BufRead + 'a> {
        Box::new(BufReader::with_capacity(16 << 10, reader.take(MAX_PLAIN_BYTES)))
    };
    match codec {
        0 => Ok(Box::new(bytes)),
        1 => Ok(limit(Box::new(MultiGzDecoder::new(bytes)))),
        2 => match bytes.strip_prefix(&XERIAL_MAGIC) {
            Some(rest) => {
                let blocks = rest.get(XERIAL_HEADER - 8..).ok_or(io::ErrorKind::InvalidData)?;
                Ok(limit(Box::new(Xerial { blocks, plain: Vec::new(), at: 0 })))
            }
            None => Ok(Box::new(io::Cursor::new(unsnap(bytes)?))),
        },
        3 => Ok(limit(Box::new(lz4_flex::frame::FrameDecoder::new(bytes)))),
        4 => Ok(limit(Box::new(zstd::Decoder::with_buffer(bytes)?))),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn unsnap(block: &[u8]) -> io::Result<Vec<u8>> {
    let claimed = snap::raw::decompress_len(block)?;
    if claimed > block.len().saturating_mul(SNAPPY_MAX_RATIO) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(snap::raw::Decoder::new().decompress_vec(block)?)
}

/// Reads snappy blocks that are each preceded by their length.
struct Xerial<'a> {
    blocks: &'a [u8],
    plain: Vec<u8>,
    at: usize,
}

impl Read for Xerial<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            let Some((length, rest)) = self.blocks.split_first_chunk::<4>() else {
                return Ok(0);
            };
            let length = u32::from_be_bytes(*length) as usize;
            let block = rest.get(..length).ok_or(io::ErrorKind::UnexpectedEof)?;
            self.plain = unsnap(block)?;
            self.at = 0;
            self.blocks = &rest[length..];
        }
        let read = (&self.plain[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// Compresses records that are written to it.
pub(crate) enum Encoder {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Snappy { framed: Vec<u8>, block: Vec<u8> },
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Appends to `out`.
    pub(crate) fn new(codec: i16, mut out: Vec<u8>) -> io::Result<Self> {
        match codec {
            0 => Ok(Self::Plain(out)),
            1 => Ok(Self::Gzip(GzEncoder::new(out, Compression::default()))),
            2 => {
                out.extend_from_slice(&XERIAL_MAGIC);
                out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
                Ok(Self::Snappy { framed: out, block: Vec::with_capacity(XERIAL_BLOCK) })
            }
            3 => Ok(Self::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(out)))),
            4 => Ok(Self::Zstd(zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What [`Encoder::new`] was given, and the compressed bytes behind it.
    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.flush_block()?;
        match self {
            Self::Plain(out) | Self::Snappy { framed: out, .. } => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Lz4(encoder) => Ok(encoder.finish()?),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if let Self::Snappy { framed, block } = self
            && !block.is_empty()
        {
            let packed = snap::raw::Encoder::new().compress_vec(block)?;
            let length = u32::try_from(packed.len()).map_err(io::Error::other)?;
            framed.extend_from_slice(&length.to_be_bytes());
            framed.extend_from_slice(&packed);
            block.clear();
        }
        Ok(())
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Lz4(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Snappy { block, .. } => {
                let taken = bytes.len().min(XERIAL_BLOCK - block.len());
                block.extend_from_slice(&bytes[..taken]);
                if block.len() == XERIAL_BLOCK {
                    self.flush_block()?;
                }
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
