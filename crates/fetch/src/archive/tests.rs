//! Archives made for the tests, most of them malicious.

use super::*;
use zip::write::SimpleFileOptions;

const LIMITS: ArchiveLimits = ArchiveLimits { member: 1000, total: 1500, members: 5 };

fn make_zip(folder: &Path, members: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join("test.zip");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// Writes tar headers by hand: the tar crate refuses to make the names that these tests need.
fn make_tar(folder: &Path, members: &[(&str, tar::EntryType, &[u8])]) -> PathBuf {
    let path = folder.join("test.tar.gz");
    let file = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::best());
    let mut tar = tar::Builder::new(file);
    for (name, kind, content) in members {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    path
}

fn wanted(member: &str) -> [RequestedMember<'_>; 1] {
    [RequestedMember { member, file: "out/a.txt" }]
}

fn refused(result: Result<Vec<PathBuf>>) -> String {
    match result {
        Err(error @ FetchError::Archive { .. }) => error.to_string(),
        other => panic!("was not refused: {other:?}"),
    }
}

#[test]
fn only_requested_members_are_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("into");
    let zip = make_zip(folder.path(), &[("x/a.txt", b"zip"), ("x/b.txt", b"other")]);
    let paths = unpack_zip(&zip, &wanted("x/a.txt"), &into, &LIMITS).unwrap();
    assert_eq!(paths, [into.join("out/a.txt")]);
    assert_eq!(std::fs::read(&paths[0]).unwrap(), b"zip");

    let file = tar::EntryType::Regular;
    let tar = make_tar(
        folder.path(),
        &[("x/", tar::EntryType::Directory, b""), ("x/b.txt", file, b"other"), ("x/a.txt", file, b"tar")],
    );
    let paths = unpack_tar_gz(&tar, &wanted("x/a.txt"), &into, &LIMITS).unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), b"tar");
    assert_eq!(std::fs::read_dir(into.join("out")).unwrap().count(), 1);
}

#[test]
fn paths_outside_the_folder_are_refused_even_if_not_requested() {
    for (name, reason) in [
        ("../evil", "points outside"),
        ("x/../../evil", "points outside"),
        ("x\\..\\evil", "points outside"),
        ("/etc/passwd", "absolute"),
        ("\\\\host\\share", "absolute"),
        ("C:evil", "absolute"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("into");
        let zip = make_zip(folder.path(), &[("a.txt", b"good"), (name, b"bad")]);
        let message = refused(unpack_zip(&zip, &wanted("a.txt"), &into, &LIMITS));
        assert!(message.contains(reason) && message.contains("test.zip"), "{name}: {message}");
        let file = tar::EntryType::Regular;
        let tar = make_tar(folder.path(), &[("a.txt", file, b"good"), (name, file, b"bad")]);
        let message = refused(unpack_tar_gz(&tar, &wanted("a.txt"), &into, &LIMITS));
        assert!(message.contains(reason), "{name}: {message}");
    }
}

#[test]
fn links_and_devices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char, tar::EntryType::Fifo] {
        let tar = make_tar(folder.path(), &[("a.txt", kind, b"")]);
        let message = refused(unpack_tar_gz(&tar, &wanted("a.txt"), folder.path(), &LIMITS));
        assert!(message.contains("link or a device"), "{message}");
    }
    let path = folder.path().join("link.zip");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    zip.add_symlink("a.txt", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap();
    let message = refused(unpack_zip(&path, &wanted("a.txt"), folder.path(), &LIMITS));
    assert!(message.contains("link or a device"), "{message}");
}

#[test]
fn archive_bombs_stop_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = vec![0; 1_000_000];
    let zip = make_zip(folder.path(), &[("a.txt", &bomb)]);
    let message = refused(unpack_zip(&zip, &wanted("a.txt"), folder.path(), &LIMITS));
    assert!(message.contains("more than 1000 bytes"), "{message}");
    assert!(std::fs::metadata(folder.path().join("out/a.txt")).unwrap().len() <= 1000);

    let file = tar::EntryType::Regular;
    let tar = make_tar(folder.path(), &[("a.txt", file, &bomb)]);
    let message = refused(unpack_tar_gz(&tar, &wanted("a.txt"), folder.path(), &LIMITS));
    assert!(message.contains("more than 1000 bytes"), "{message}");
    // A bomb that was not requested still has to be unpacked to be skipped.
    let tar = make_tar(folder.path(), &[("bomb", file, &bomb), ("a.txt", file, b"good")]);
    let message = refused(unpack_tar_gz(&tar, &wanted("a.txt"), folder.path(), &LIMITS));
    assert!(message.contains("more than the limit"), "{message}");
}

#[test]
fn total_and_number_are_limited_too() {
    let folder = tempfile::tempdir().unwrap();
    let zip = make_zip(folder.path(), &[("a", &[1; 900]), ("b", &[2; 900])]);
    let both = [RequestedMember { member: "a", file: "a" }, RequestedMember { member: "b", file: "b" }];
    let message = refused(unpack_zip(&zip, &both, folder.path(), &LIMITS));
    assert!(message.contains("\"b\" unpacks to more than 600 bytes"), "{message}");

    let names = ["1", "2", "3", "4", "5", "6"];
    let zip = make_zip(folder.path(), &names.map(|name| (name, &b""[..])));
    assert!(refused(unpack_zip(&zip, &[], folder.path(), &LIMITS)).contains("6 members, more than 5"));
    let tar = make_tar(folder.path(), &names.map(|name| (name, tar::EntryType::Regular, &b""[..])));
    assert!(refused(unpack_tar_gz(&tar, &[], folder.path(), &LIMITS)).contains("more than 5 members"));
}

#[test]
fn damage_and_absence_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let zip = make_zip(folder.path(), &[("a.txt", b"something long enough to be damaged in the middle")]);
    let message = refused(unpack_zip(&zip, &wanted("b.txt"), folder.path(), &LIMITS));
    assert!(message.contains("\"b.txt\" is missing"), "{message}");

    let mut bytes = std::fs::read(&zip).unwrap();
    let middle = 30 + "a.txt".len() + 10;
    bytes[middle] ^= 0xff;
    std::fs::write(&zip, &bytes).unwrap();
    refused(unpack_zip(&zip, &wanted("a.txt"), folder.path(), &LIMITS));

    let html = folder.path().join("page.zip");
    std::fs::write(&html, "<html>log in first</html>").unwrap();
    assert!(refused(unpack_zip(&html, &wanted("a.txt"), folder.path(), &LIMITS)).contains("not a readable zip"));
    assert!(refused(unpack_tar_gz(&html, &wanted("a.txt"), folder.path(), &LIMITS)).contains("tar.gz"));
}
