//! The browser client, served from memory (server-api 2.10; attack A68).

use std::io::Read;
use std::path::PathBuf;

use ferriwire::Error;
use ferriwire::engine::{RunningServer, Server};
use flate2::read::{GzDecoder, ZlibDecoder};

use crate::config;
use crate::support::http::{Http, Response};

const NAMES: [&str; 4] = [
    "socket.io.js",
    "socket.io.min.js",
    "socket.io.esm.min.js",
    "socket.io.msgpack.min.js",
];

/// A folder of files that looks like the official one, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("ferriwire-bundle-{test}-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a temporary folder");
        for name in NAMES {
            folder.write(name, &content(name));
            let map = format!("{name}.map");
            folder.write(&map, &content(&map));
        }
        folder.write("package.json", "{}");
        folder
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.join(name), content).expect("a temporary file");
    }

    async fn serve(&self) -> RunningServer {
        let config = config().path("/socket.io/").client_bundle(&self.0);
        let server = Server::new().config(config).bind("127.0.0.1:0").await;
        server.expect("a free port")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn content(name: &str) -> String {
    format!("/* {name} */ ").repeat(200)
}

async fn get(server: &RunningServer, name: &str, headers: &[(&str, &str)]) -> Response {
    let mut http = Http::connect(server.local_addr()).await;
    let target = format!("/socket.io/{name}");
    http.request("GET", &target, headers, "").await
}

#[tokio::test]
async fn all_eight_files_are_served_with_type_tag_and_caching() {
    let folder = Folder::new("files");
    let server = folder.serve().await;
    let mut tags = Vec::new();
    for name in NAMES {
        let map = format!("{name}.map");
        for (name, kind) in [(name, "javascript"), (map.as_str(), "json")] {
            let response = get(&server, name, &[]).await;
            assert_eq!(response.status, 200, "{name}");
            assert_eq!(response.text(), content(name));
            for (header, value) in [
                (
                    "content-type",
                    format!("application/{kind}; charset=utf-8").as_str(),
                ),
                ("cache-control", "public, max-age=0"),
                ("vary", "Accept-Encoding"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(response.header(header), Some(value), "{name}: {header}");
            }
            let tag = response.header("etag").expect("a tag");
            assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
            tags.push(tag.to_owned());
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 8);
}

#[tokio::test]
async fn each_coding_has_bytes_and_a_tag_of_its_own() {
    let folder = Folder::new("codings");
    let server = folder.serve().await;
    let name = "socket.io.min.js";
    let mut tags = Vec::new();
    for (accepted, coding) in [
        ("", None),
        ("gzip", Some("gzip")),
        ("deflate", Some("deflate")),
        ("gzip, deflate, br, zstd", Some("br")),
        ("br;q=0.5, gzip", Some("gzip")),
    ] {
        // Twice, because the second is what the first has made.
        for _ in 0..2 {
            let response = get(&server, name, &[("Accept-Encoding", accepted)]).await;
            assert_eq!(response.header("content-encoding"), coding, "{accepted}");
            let mut text = String::new();
            let body = &response.body[..];
            match coding {
                Some("gzip") => GzDecoder::new(body).read_to_string(&mut text),
                Some("deflate") => ZlibDecoder::new(body).read_to_string(&mut text),
                Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
                _ => body.to_owned().as_slice().read_to_string(&mut text),
            }
            .expect("what the header says");
            assert_eq!(text, content(name));
            let tag = response.header("etag").expect("a tag").to_owned();
            tags.push((coding, tag));
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "{tags:?}");
}

#[tokio::test]
async fn a_client_that_has_a_file_is_not_sent_it_again() {
    let folder = Folder::new("304");
    let server = folder.serve().await;
    let first = get(&server, "socket.io.js", &[]).await;
    let tag = first.header("etag").expect("a tag");
    let weak = format!("W/{tag}");
    let list = format!("\"a\", W/\"b\" ,{weak}");
    for (tags, status) in [
        (tag, 304),
        (weak.as_str(), 304),
        (list.as_str(), 304),
        ("*", 304),
        ("\"a\"", 200),
        ("W/\"a\", \"b\"", 200),
        ("", 200),
        (tag.trim_matches('"'), 200),
    ] {
        let response = get(&server, "socket.io.js", &[("If-None-Match", tags)]).await;
        assert_eq!(response.status, status, "{tags}");
        assert_eq!(response.body.is_empty(), status == 304, "{tags}");
        assert_eq!(response.header("etag"), Some(tag), "{tags}");
        let caching = response.header("cache-control");
        assert_eq!(caching, Some("public, max-age=0"), "{tags}");
    }
    // The tag of another form, or of another file, is not this one's.
    let compressed = [("If-None-Match", tag), ("Accept-Encoding", "gzip")];
    let response = get(&server, "socket.io.js", &compressed).await;
    assert_eq!(response.status, 200);
    let response = get(&server, "socket.io.min.js", &[("If-None-Match", tag)]).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_other_methods_are_refused() {
    let folder = Folder::new("methods");
    let server = folder.serve().await;
    let target = "/socket.io/socket.io.js";
    let get = get(&server, "socket.io.js", &[]).await;
    let mut http = Http::connect(server.local_addr()).await;
    http.start("HEAD", target, &[], "").await;
    let head = http.response_to("HEAD").await;
    let without_date = |response: &Response| {
        let mut headers = response.headers.clone();
        headers.retain(|(name, _)| name != "date");
        headers.sort();
        headers
    };
    assert_eq!(head.status, 200);
    assert_eq!(without_date(&head), without_date(&get));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let response = http.request(method, target, &[], "").await;
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.header("allow"), Some("GET, HEAD"), "{method}");
    }
}

#[tokio::test]
async fn no_other_name_is_a_file() {
    let folder = Folder::new("names");
    let server = folder.serve().await;
    let long = "a".repeat(7_000);
    for name in [
        "socket.io.js/../../../etc/passwd",
        "../socket.io.js",
        "%2e%2e/socket.io.js",
        "..%5csocket.io.js",
        "./socket.io.js",
        "/socket.io.js",
        "socket.io.js/",
        "socket.io.js%00",
        "socket.io.js.map.map",
        "socket.io.js.gz",
        "SOCKET.IO.JS",
        "socket%2eio.js",
        "socket.io.msgpack.js",
        "package.json",
        long.as_str(),
    ] {
        let response = get(&server, name, &[]).await;
        assert_eq!(response.status, 404, "{name}");
    }
    // A query is no part of the name, a range is not understood, and long tags cost nothing.
    let tags = format!("\"{}\"", "a".repeat(12_000));
    for (name, headers) in [
        ("socket.io.js?v=1", &[][..]),
        ("socket.io.js", &[("Range", "bytes=0-1")]),
        ("socket.io.js", &[("If-None-Match", tags.as_str())]),
    ] {
        let response = get(&server, name, headers).await;
        assert_eq!(response.status, 200, "{name}");
        assert_eq!(response.text(), content("socket.io.js"), "{name}");
    }
}

#[tokio::test]
async fn files_that_are_missing_are_not_served_and_a_folder_without_any_is_a_mistake() {
    let folder = Folder::new("missing");
    std::fs::remove_file(folder.0.join("socket.io.js")).expect("it was written");
    let server = folder.serve().await;
    assert_eq!(get(&server, "socket.io.js", &[]).await.status, 404);
    assert_eq!(get(&server, "socket.io.min.js", &[]).await.status, 200);
    let config = config().client_bundle(folder.0.join("nowhere"));
    let error = Server::new().config(config).bind("127.0.0.1:0").await.err();
    assert!(matches!(error, Some(Error::NoClientBundle(_))), "{error:?}");
}
