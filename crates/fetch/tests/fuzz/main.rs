//! Fuzz tests of archives and of answers of the Hub's API. `test_support::fuzz` says what must hold.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fetch::archive::{ArchiveLimits, RequestedMember, unpack_tar_gz, unpack_zip};
use fetch::hub::HubSettings;
use fetch::{FetchError, Hub, RepoRef};
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

#[global_allocator]
static ALLOCATOR: test_support::fuzz::CountingAllocator = test_support::fuzz::CountingAllocator;

const LIMITS: ArchiveLimits = ArchiveLimits { member: 1 << 16, total: 1 << 17, members: 8 };
const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 64, fixed: 2 << 20 };
const WANTED: [RequestedMember<'static>; 2] = [
    RequestedMember { member: "x/train.txt", file: "train.txt" },
    RequestedMember { member: "x/dev.txt", file: "dev.txt" },
];
const FILES: [(&str, &str); 3] =
    [("x/train.txt", "(3 (2 It) (4 works))\n"), ("x/dev.txt", "(1 no)\n"), ("x/readme", "not wanted")];

type Unpack = fn(&Path, &[RequestedMember], &Path, &ArchiveLimits) -> Result<Vec<PathBuf>, FetchError>;

/// Unpacks, and looks at what came out: the wanted files and no others, none larger than allowed.
fn unpack(how: Unpack, folder: &Path, bytes: &[u8]) -> Result<(), String> {
    let (archive, into) = (folder.join("archive"), folder.join("into"));
    let _ = std::fs::remove_dir_all(&into);
    std::fs::create_dir(&into).unwrap();
    std::fs::write(&archive, bytes).unwrap();
    let unpacked = how(&archive, &WANTED, &into, &LIMITS);
    let mut names: Vec<_> = std::fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.iter().all(|name| name == "dev.txt" || name == "train.txt"), "{names:?}");
    for path in unpacked.map_err(|error| error.to_string())? {
        assert!(path.starts_with(&into) && path.metadata().unwrap().len() <= LIMITS.member, "{}", path.display());
    }
    assert_eq!(names.len(), 2);
    Ok(())
}

fn zip_file(method: zip::CompressionMethod, large: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method).large_file(large);
    zip.add_directory("x/", options).unwrap();
    for (name, content) in FILES {
        zip.start_file(name, options).unwrap();
        zip.write_all(content.repeat(9).as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn zip_archives() {
    let folder = temporary_folder();
    let methods = [(zip::CompressionMethod::Stored, false), (zip::CompressionMethod::Deflated, false)];
    let methods = methods.into_iter().chain([(zip::CompressionMethod::Deflated, true)]);
    let mut seeds: Vec<SeedFile> =
        methods.map(|(method, large)| SeedFile::new(SeedFormat::Binary, zip_file(method, large))).collect();
    let early = [b"#!/bin/sh\n".to_vec(), zip_file(zip::CompressionMethod::Stored, false)].concat();
    seeds.push(SeedFile::new(SeedFormat::Binary, early));
    check(&FuzzTarget { package: "fetch", name: "zip_archives", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        unpack(unpack_zip, folder.path(), bytes)
    });
}

fn tar_file(old: bool) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in FILES {
        let mut header = if old { tar::Header::new_old() } else { tar::Header::new_gnu() };
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    if !old {
        // A name that needs a header of its own.
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        tar.append_data(&mut header, "long/".repeat(40) + "name", &b"x"[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: Vec<u8>) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(&bytes).unwrap();
    file.finish().unwrap()
}

#[test]
fn tar_archives() {
    let folder = temporary_folder();
    let seeds = vec![
        SeedFile::new(SeedFormat::Binary, gzip(tar_file(false))),
        SeedFile::packed(SeedFormat::Binary, tar_file(false), gzip),
        SeedFile::packed(SeedFormat::Binary, tar_file(true), gzip),
    ];
    check(&FuzzTarget { package: "fetch", name: "tar_archives", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        unpack(unpack_tar_gz, folder.path(), bytes)
    });
}

/// A server that answers every request with the same body.
fn server() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let body = Arc::new(Mutex::new(Vec::new()));
    let answer = Arc::clone(&body);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let body = answer.lock().unwrap().clone();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // A client that leaves early is no fault of the server's.
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (endpoint, body)
}

#[test]
fn hub_answers() {
    let (endpoint, body) = server();
    let hub = Hub::new(HubSettings { endpoint, ..HubSettings::with_cache("/nonexistent") }).unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let repo = RepoRef::model(&format!("owner/name@{commit}")).unwrap();
    let short = format!(r#"{{"sha": "{commit}", "siblings": [{{"rfilename": "config.json"}}]}}"#);
    let long = format!(
        r#"{{"_id": "1", "id": "owner/name", "private": false, "gated": null, "tags": ["bert", "en"], "downloads": 12,
            "siblings": [{{"rfilename": "config.json", "size": 12}}, {{"rfilename": "a/model.safetensors"}}],
            "cardData": {{"a": {{"b": [1, 2.5, "x"]}}}}, "sha": "{commit}"}}"#
    );
    let seeds = vec![SeedFile::new(SeedFormat::Json, short), SeedFile::new(SeedFormat::Json, long)];
    check(&FuzzTarget { package: "fetch", name: "hub_answers", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        *body.lock().unwrap() = bytes.to_vec();
        hub.list(&repo).map(drop).map_err(|error| error.to_string())
    });
}
