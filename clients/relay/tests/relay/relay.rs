//! The relay's program, as systemd runs it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::cloud::{CALLER, Cloud, SECRET, WAIT_TIMEOUT};

/// A folder of one test, with the relay's secret and state.
pub struct Home(PathBuf);

impl Home {
    pub fn of(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("secret"), format!("{SECRET}\n")).unwrap();
        Self(folder)
    }

    /// The relay's program with all settings.
    pub fn command(&self, api: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_obs-cloudupload-relay"));
        command
            .env_clear()
            .env("RELAY_LISTEN", "127.0.0.1:0")
            .env("RELAY_API", api)
            .env("RELAY_CALLER", CALLER)
            .env("RELAY_SECRET_FILE", self.0.join("secret"))
            .env("STATE_DIRECTORY", self.state())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// The jobs whose images come in, as the next relay would find them.
    pub fn jobs(&self) -> Vec<String> {
        let files = fs::read_dir(self.state()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    pub async fn start(&self, cloud: &Cloud) -> Relay {
        let api = format!("http://{}", cloud.api);
        let mut process = self.command(&api).spawn().unwrap();
        let log = process.stderr.take().unwrap();
        let mut log = BufReader::new(log).lines();
        let first = log.next_line().await.unwrap().expect("the relay has ended");
        let listening = first.strip_prefix("listening to ");
        let address = listening.and_then(|rest| rest.split_once(',')?.0.parse().ok());
        // The relay must not wait for a reader, and a failed test shows what it says.
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                println!("relay: {line}");
            }
        });
        Relay {
            address: address.unwrap_or_else(|| panic!("{first}")),
            process,
        }
    }
}

/// A relay that runs.
pub struct Relay {
    pub address: SocketAddr,
    process: Child,
}

impl Relay {
    pub fn signal(&self, signal: Signal) {
        let pid = self.process.id().unwrap() as i32;
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Bytes of memory that it had at most (proc_pid_status(5), `VmHWM`).
    pub fn most_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id().unwrap());
        let status = fs::read_to_string(status).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = most.unwrap().trim().trim_end_matches(" kB").parse::<u64>();
        kib.unwrap() << 10
    }

    pub async fn exit(mut self) -> ExitStatus {
        let exit = timeout(WAIT_TIMEOUT, self.process.wait());
        exit.await.expect("the relay goes on").unwrap()
    }
}
