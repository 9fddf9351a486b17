//! The files of a pack, wherever they are.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Read access to the files of one pack. Paths are relative, with `/` between parts.
pub trait PackFiles: Send + Sync {
    /// Where the pack is, for messages: a folder, or `built-in sunrise`.
    fn place(&self) -> String;

    /// The content of a file, or `None` when there is no such file.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// The folder that holds the pack, where it is one that can be written to.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// The names of the files of a folder of the pack, sorted; empty when there is no such folder.
    ///
    /// # Errors
    /// When the folder exists and cannot be read.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// The names of the folders in a folder of the pack, sorted; empty when there is no such folder.
    ///
    /// # Errors
    /// When the folder exists and cannot be read.
    fn folders(&self, folder: &str) -> io::Result<Vec<String>>;
}

/// A pack in a folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The pack in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// A path inside the pack; one that leads out of it names no file.
    fn inside(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| self.0.join(relative))
    }

    /// The names of a folder's entries of one kind.
    fn entries(&self, folder: &str, wanted: fn(&fs::FileType) -> bool) -> io::Result<Vec<String>> {
        let Some(path) = self.inside(folder) else { return Ok(vec![]) };
        let Some(entries) = absent_as_none(fs::read_dir(path))? else { return Ok(vec![]) };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if wanted(&entry.file_type()?) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

impl PackFiles for Folder {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.0)
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = self.inside(path) else { return Ok(None) };
        let Some(metadata) = absent_as_none(fs::metadata(&path))? else { return Ok(None) };
        if !metadata.is_file() {
            // A named pipe would be waited for, and a device never ends.
            return Err(io::Error::other("it is not a regular file"));
        }
        absent_as_none(crate::load::bounded(&path))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.entries(folder, fs::FileType::is_file)
    }

    fn folders(&self, folder: &str) -> io::Result<Vec<String>> {
        self.entries(folder, fs::FileType::is_dir)
    }
}

fn absent_as_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_of_the_pack_names_no_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pack")).unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        let pack = Folder::new(folder.path().join("pack"));
        assert_eq!(pack.read("../secret").unwrap(), None);
        assert_eq!(pack.read(folder.path().join("secret").to_str().unwrap()).unwrap(), None);
        assert!(pack.list("..").unwrap().is_empty());
    }

    #[test]
    fn files_of_a_folder_are_listed_in_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("fixtures/nested")).unwrap();
        for name in ["b.json", "a.json"] {
            fs::write(folder.path().join("fixtures").join(name), "{}").unwrap();
        }
        let pack = Folder::new(folder.path());
        assert_eq!(pack.list("fixtures").unwrap(), ["a.json", "b.json"]);
        assert_eq!(pack.folders("fixtures").unwrap(), ["nested"]);
        assert!(pack.list("absent").unwrap().is_empty());
        assert_eq!(pack.read("fixtures/a.json").unwrap().as_deref(), Some(b"{}".as_slice()));
    }
}
