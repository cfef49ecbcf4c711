//! Which function sent a request: the process that holds the other end of its connection.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use rustix::process::{Pid, Signal, kill_process};

/// The process of a function.
#[derive(Clone, Debug)]
pub struct Caller {
    pub pid: Pid,
    /// The function's short name, as in `transfer`.
    pub function: String,
}

impl Caller {
    /// The function that has the connection from `client` to `server`. None if the caller is no function.
    pub fn find(client: SocketAddr, server: SocketAddr) -> Option<Self> {
        let connections = fs::read_to_string("/proc/net/tcp").ok()?;
        let socket = format!("socket:[{}]", inode(&connections, client, server)?);
        let processes = fs::read_dir("/proc").ok()?.flatten();
        // Processes come and go meanwhile: one that cannot be read is not the caller.
        processes.into_iter().find_map(|process| {
            let pid = Pid::from_raw(process.file_name().to_str()?.parse().ok()?)?;
            let function = function(&fs::read(process.path().join("environ")).ok()?)?;
            holds(&process.path(), &socket).then_some(Self { pid, function })
        })
    }

    /// Ends the process at once.
    pub fn kill(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::KILL)?)
    }
}

/// The inode of the socket at the client's end, from the lines of /proc/net/tcp (proc_pid_net(5)).
fn inode(connections: &str, client: SocketAddr, server: SocketAddr) -> Option<&str> {
    let (client, server) = (hex(client)?, hex(server)?);
    connections.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        (fields.next()? == client && fields.next()? == server)
            .then(|| fields.nth(6))
            .flatten()
    })
}

/// An address as in /proc/net/tcp: the four bytes as a number in this machine's byte order.
fn hex(address: SocketAddr) -> Option<String> {
    match address.ip() {
        IpAddr::V4(ip) => Some(format!(
            "{:08X}:{:04X}",
            u32::from_ne_bytes(ip.octets()),
            address.port()
        )),
        IpAddr::V6(_) => None,
    }
}

/// The function in the environment of a process. CloudFormation names it `cloudupload-Transfer-1A2B3C`.
fn function(environment: &[u8]) -> Option<String> {
    let name = environment
        .split(|&byte| byte == 0)
        .find_map(|variable| variable.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="))?;
    let name = str::from_utf8(name).ok()?;
    let id = name.rsplit('-').nth(1).unwrap_or(name).to_lowercase();
    Some(match id.as_str() {
        // The template keeps the logical ID that this function had in the first release.
        "check" => "poll".to_owned(),
        _ => id,
    })
}

fn holds(process: &Path, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names() {
        let environment =
            |name: &str| format!("A=1\0AWS_LAMBDA_FUNCTION_NAME={name}\0B=2\0").into_bytes();
        for (name, short) in [
            ("cloudupload-Transfer-1A2B3C", "transfer"),
            ("cloud-upload-Api-1A2B3C", "api"),
            ("sweep", "sweep"),
        ] {
            assert_eq!(function(&environment(name)).as_deref(), Some(short));
        }
        assert_eq!(function(b"A=1\0B=2\0"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn both_ends_tell_a_connection() {
        let connections = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:137E 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 20 4 30 10 -1\n   \
            1: 0100007F:D431 0100007F:137E 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 20 4 30 10 -1\n";
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(inode(connections, at(0xD431), at(0x137E)), Some("222"));
        assert_eq!(inode(connections, at(0xD432), at(0x137E)), None);
    }
}
