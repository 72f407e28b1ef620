//! nginx, Apache and HAProxy as private instances on loopback, each with its status page.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use crate::programs::{Process, free_port, wait_for};

/// Requests that each of them can serve at once.
pub(crate) const WORKERS: usize = 40;

/// Which program.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Nginx,
    Apache,
    /// In front of this web server.
    Haproxy(SocketAddr),
}

/// One web server, running or not.
pub(crate) struct WebServer {
    program: PathBuf,
    kind: Kind,
    pub(crate) address: SocketAddr,
    status: SocketAddr,
    folder: PathBuf,
    process: Option<Process>,
}

impl WebServer {
    /// Starts it and waits until it answers.
    pub(crate) fn start(
        (program, kind): (&Path, Kind),
        address: SocketAddr,
        folder: PathBuf,
    ) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let status = match kind {
            Kind::Haproxy(_) => SocketAddr::new(address.ip(), free_port(&[address.ip()])),
            _ => address,
        };
        let program = program.to_owned();
        let mut server = Self { program, kind, address, status, folder, process: None };
        server.start_again();
        server
    }

    /// Starts it where it was.
    pub(crate) fn start_again(&mut self) {
        let file = self.folder.join("configuration");
        std::fs::write(&file, self.configuration()).unwrap();
        let file = file.to_str().unwrap();
        // One process each, so that killing it leaves no other behind.
        let arguments: &[&str] = match self.kind {
            Kind::Nginx => &["-c", file],
            Kind::Apache => &["-X", "-f", file],
            Kind::Haproxy(_) => &["-db", "-f", file],
        };
        let mut process = Process::start(&self.program, arguments, &self.folder.join("log"));
        wait_for("a web server that answers", || {
            process.assert_running();
            TcpStream::connect(self.address).ok()
        });
        self.process = Some(process);
    }

    /// Kills it: everybody who connects is refused from now on.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Makes it hang: whoever connects waits.
    pub(crate) fn freeze(&self) {
        self.process.as_ref().expect("it runs").freeze();
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        self.process.as_ref().expect("it runs").thaw();
    }

    /// Its access log, of nginx and Apache.
    pub(crate) fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// The Reporter's setting `source`.
    pub(crate) fn source(&self) -> String {
        let page = self.status;
        match self.kind {
            Kind::Nginx => {
                format!("{{ nginx = \"http://{page}/nginx_status\", busy_max = {WORKERS} }}")
            }
            Kind::Apache => format!("{{ apache = \"http://{page}/server-status?auto\" }}"),
            Kind::Haproxy(_) => {
                format!("{{ haproxy = \"http://{page}/stats;csv\", proxy = \"www\" }}")
            }
        }
    }

    fn configuration(&self) -> String {
        let (address, status, folder) = (self.address, self.status, self.folder.display());
        match self.kind {
            Kind::Nginx => format!(
                "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;\n\
                 events {{ worker_connections 256; }}\n\
                 http {{ access_log {folder}/access.log; client_body_temp_path {folder}/1;\n\
                 proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;\n\
                 uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;\n\
                 server {{ listen {address}; location / {{ return 200 hello; }}\n\
                 location /nginx_status {{ stub_status; access_log off; }} }} }}\n"
            ),
            Kind::Apache => format!(
                "ServerRoot {folder}\nServerName web.example\nPidFile {folder}/pid\n\
                 Listen {address}\nErrorLog {folder}/errors\nDocumentRoot {folder}\n\
                 CustomLog {folder}/access.log \"%h %l %u %t \\\"%r\\\" %>s %b\"\n\
                 User nobody\nGroup nogroup\n\
                 LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
                 LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
                 LoadModule status_module /usr/lib/apache2/modules/mod_status.so\n\
                 ServerLimit 1\nStartServers 1\nThreadLimit {WORKERS}\n\
                 ThreadsPerChild {WORKERS}\nMaxRequestWorkers {WORKERS}\n\
                 <Location /server-status>\nSetHandler server-status\n</Location>\n"
            ),
            Kind::Haproxy(behind) => format!(
                "defaults\n mode http\n timeout client 60s\n timeout server 60s\n\
                 timeout connect 5s\n\
                 frontend www\n bind {address}\n maxconn {WORKERS}\n default_backend behind\n\
                 backend behind\n server origin {behind}\n\
                 listen stats\n bind {status}\n stats enable\n stats uri /stats\n"
            ),
        }
    }
}

/// Clients that keep so many of a server's workers busy: each sends its request very slowly, for
/// as long as this lives.
pub(crate) struct Crowd(#[expect(dead_code, reason = "held open")] Vec<TcpStream>);

impl Crowd {
    pub(crate) fn of(clients: usize, server: SocketAddr) -> Self {
        let client = |_| {
            let mut stream = TcpStream::connect(server).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: web.example\r\n").unwrap();
            stream
        };
        Self((0..clients).map(client).collect())
    }
}

/// Addresses of a cluster's servers, all with the same free port.
pub(crate) fn addresses<const N: usize>(ips: [[u8; 4]; N]) -> [SocketAddr; N] {
    let ips = ips.map(IpAddr::from);
    let port = free_port(&ips);
    ips.map(|ip| SocketAddr::new(ip, port))
}
