//! A CGI program (RFC 3875): the request is in the environment and on stdin, the answer goes to stdout.

use std::env::var;
use std::io::{Read, Write, stderr, stdin, stdout};
use std::process::exit;
use std::time::Duration;

const CHUNK_BYTES: usize = 64 * 1024;

fn main() {
    let path = var("PATH_INFO").unwrap_or_default();
    let query = var("QUERY_STRING").unwrap_or_default();
    match path.as_str() {
        "" | "/" => print("Content-Type: text/plain\r\n\r\ncommand\n"),
        "/environment" => environment(),
        "/echo" => echo(),
        "/upload" => upload(),
        "/download" => download(number(&query, "bytes", 1024)),
        "/status" => print(&format!("Status: {}\nContent-Type: text/plain\n\nstatus\n", number(&query, "code", 200))),
        "/redirect" => print("Location: https://example.com/elsewhere\n\n"),
        "/duplicates" => print("Set-Cookie: a=1\nSet-Cookie: b=2\nContent-Type: text/plain\n\nduplicates\n"),
        "/no-header" => print("this is no header block"),
        "/bad-header" => print("Content-Type: text/plain\nthis is not a field\n\nbody\n"),
        "/bad-status" => print("Status: many\nContent-Type: text/plain\n\nbody\n"),
        "/half-header" => print("Content-Type: text/plain\n"),
        "/no-type" => print("X-Only: 1\n\nbody\n"),
        "/header-flood" => flood(number(&query, "bytes", 1024) as usize),
        "/silent" => {}
        "/exit" => exit(number(&query, "code", 1) as i32),
        "/answer-then-exit" => {
            print("Content-Type: text/plain\n\nbefore the end\n");
            exit(number(&query, "code", 1) as i32);
        }
        "/loop" => loop {
            std::hint::black_box(0);
        },
        "/never" => std::thread::sleep(Duration::from_secs(1_000_000)),
        "/panic" => panic!("the panic that was asked for"),
        "/memory" => {
            let mut blocks = Vec::new();
            loop {
                blocks.push(std::hint::black_box(vec![1u8; 1024 * 1024]));
            }
        }
        "/stderr" => {
            let _ = stderr().write_all(b"a line on stderr\n");
            print("Content-Type: text/plain\n\nlogged\n");
        }
        "/file" => {
            let found = std::fs::read("/in/component").map(|bytes| bytes.len());
            print(&format!("Content-Type: text/plain\n\n{found:?}\n"));
        }
        _ => print("Status: 404 Not Found\nContent-Type: text/plain\n\nno such route\n"),
    }
}

fn print(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
    let _ = stdout().flush();
}

fn number(query: &str, name: &str, fallback: u64) -> u64 {
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(fallback)
}

fn environment() {
    print("Content-Type: text/plain\n\n");
    for argument in std::env::args() {
        print(&format!("argument {argument}\n"));
    }
    for (name, value) in std::env::vars() {
        print(&format!("{name}={value}\n"));
    }
}

fn echo() {
    print("Content-Type: application/octet-stream\n\n");
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = stdin().read(&mut buffer) {
        if stdout().write_all(&buffer[..count]).is_err() || stdout().flush().is_err() {
            return;
        }
    }
}

fn upload() {
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut bytes, mut sum) = (0, 0u32);
    while let Ok(count @ 1..) = stdin().read(&mut buffer) {
        bytes += count;
        sum = buffer[..count].iter().fold(sum, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    }
    print(&format!("Content-Type: application/json\n\n{{\"bytes\":{bytes},\"sum\":{sum}}}"));
}

fn download(bytes: u64) {
    print("Content-Type: application/octet-stream\n\n");
    let block: Vec<u8> = (0..251 * 256).map(|index| (index % 251) as u8).collect();
    let mut left = bytes as usize;
    while left > 0 {
        let count = left.min(block.len());
        if stdout().write_all(&block[..count]).is_err() {
            return;
        }
        left -= count;
    }
    let _ = stdout().flush();
}

fn flood(bytes: usize) {
    print(&format!("Content-Type: text/plain\nX-Flood: {}\n\n", "x".repeat(bytes)));
}
