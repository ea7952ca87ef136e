//! A page of another origin.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// Serves this page to whoever asks there.
pub(crate) fn serve(listener: TcpListener, page: String) {
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{page}",
                page.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}
