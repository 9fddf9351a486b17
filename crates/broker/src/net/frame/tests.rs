use tokio::io::AsyncWriteExt;

use super::*;

const LIMIT: usize = 4 * STEP;

fn reader(limit: usize) -> (tokio::io::DuplexStream, FrameReader<tokio::io::DuplexStream>) {
    let (client, server) = tokio::io::duplex(1 << 16);
    (client, FrameReader::new(server, limit, Arc::new(Semaphore::new(LIMIT))))
}

#[tokio::test]
async fn frames_come_out_whole_however_they_were_cut() {
    let (mut client, mut frames) = reader(LIMIT);
    let bytes = [&8i32.to_be_bytes()[..], b"12345678", &9i32.to_be_bytes(), b"abcdefghi"].concat();
    let send = tokio::spawn(async move {
        for byte in bytes {
            client.write_all(&[byte]).await.unwrap();
        }
    });
    assert_eq!(frames.next().await.unwrap().unwrap().bytes, "12345678");
    assert_eq!(frames.next().await.unwrap().unwrap().bytes, "abcdefghi");
    send.await.unwrap();
    assert!(frames.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_frame_longer_than_one_step_is_read_and_its_budget_given_back() {
    let (mut client, mut frames) = reader(LIMIT);
    let body = vec![7u8; 2 * STEP + 17];
    let sent = body.clone();
    let send = tokio::spawn(async move {
        client.write_all(&(sent.len() as i32).to_be_bytes()).await.unwrap();
        client.write_all(&sent).await.unwrap();
        client
    });
    let frame = frames.next().await.unwrap().unwrap();
    assert_eq!(frame.bytes, body);
    assert_eq!(frames.budget.available_permits(), LIMIT - body.len());
    drop(frame);
    assert_eq!(frames.budget.available_permits(), LIMIT);
    drop(send.await.unwrap());
}

#[tokio::test]
async fn lengths_that_are_negative_tiny_or_two_gigabytes_are_refused_before_any_allocation() {
    for length in [-1, i32::MIN, 0, 7, i32::MAX, LIMIT as i32 + 1] {
        let (mut client, mut frames) = reader(LIMIT);
        client.write_all(&length.to_be_bytes()).await.unwrap();
        let refused = frames.next().await.unwrap_err();
        assert!(matches!(refused, FrameError::Length { length: l, .. } if l == length));
        assert!(frames.buffer.capacity() <= 2 * IDLE_BUFFER);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_never_ends_is_given_up() {
    let (mut client, mut frames) = reader(LIMIT);
    client.write_all(&1000i32.to_be_bytes()).await.unwrap();
    assert!(matches!(frames.next().await.unwrap_err(), FrameError::Stalled));
}

#[tokio::test]
async fn a_connection_that_ends_inside_a_frame_is_told_apart_from_a_clean_end() {
    let (mut client, mut frames) = reader(LIMIT);
    client.write_all(&[0, 0, 0, 20, 1]).await.unwrap();
    drop(client);
    assert!(matches!(frames.next().await.unwrap_err(), FrameError::Torn));
}
