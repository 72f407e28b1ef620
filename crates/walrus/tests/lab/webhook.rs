//! Where people are told: a tiny HTTP server that remembers each notice.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A notice as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) recovered: bool,
}

pub(crate) struct Webhook {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Notice>>>,
}

impl Webhook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::<Mutex<Vec<Notice>>>::default();
        let board = told.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let document = receive(&stream);
                let notice = &document["notice"];
                let text = |name: &str| notice[name].as_str().unwrap_or_default().to_owned();
                board.lock().unwrap().push(Notice {
                    kind: text("kind"),
                    subject: text("subject"),
                    recovered: notice["recovered"].as_bool().unwrap_or_default(),
                });
            }
        });
        Self { address, told }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn told(&self) -> Vec<Notice> {
        self.told.lock().unwrap().clone()
    }
}

/// Reads a POST, answers it, and gives its body.
fn receive(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut len = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; len];
    let _ = reader.read_exact(&mut body);
    let mut stream = stream;
    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    serde_json::from_slice(&body).unwrap_or_default()
}
