//! `osc cloudupload`, as its users run it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{fs, process::Command};

use super::{ClientProxy, Harness};
use crate::{JobId, Upload, disk};

/// The program on a machine of its own, with the token of a user who has a role.
pub struct Osc<'a> {
    proxy: &'a ClientProxy,
    home: PathBuf,
    token: String,
    package: String,
    ami_name: String,
}

impl<'a> Osc<'a> {
    pub async fn new(harness: &Harness, proxy: &'a ClientProxy, upload: &Upload) -> Self {
        let user = harness.administrator.user("push").await;
        user.set_up().await;
        let home = env::temp_dir().join(&upload.package);
        fs::create_dir_all(&home)
            .await
            .expect("a folder can be made");
        // No OBS is asked for a file of this machine.
        let oscrc = "[general]\napiurl = http://127.0.0.1:9\n\n[http://127.0.0.1:9]\nuser = tom\npass = tom\nallow_http = 1\n";
        fs::write(home.join("oscrc"), oscrc)
            .await
            .expect("a file can be written");
        let token = user.token["token"].as_str().expect("a new token is shown");
        let ami_name = upload.body["ami_name"].as_str();
        Self {
            proxy,
            home,
            token: token.to_owned(),
            package: upload.package.clone(),
            ami_name: ami_name.expect("the upload names its AMI").to_owned(),
        }
    }

    /// Pushes the disk: with a new job, or goes on with this one. The error is what osc says.
    pub async fn push(&self, job: Option<JobId>) -> Result<(), String> {
        let osc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/osc/bin/osc");
        let mut command = Command::new(osc);
        command.arg("cloudupload");
        match job {
            Some(job) => command.args(["push", &job.to_string()]),
            None => command
                .args(["create", "--push", "--arch", "x86_64", "--name"])
                .args([&self.package, "--ami-name", &self.ami_name]),
        };
        command
            .arg("--file")
            .arg(disk::raw_file().await)
            .env_clear()
            .env("HOME", &self.home)
            .env("OSC_CONFIG", self.home.join("oscrc"))
            .env("OSC_CLOUDUPLOAD_URL", &self.proxy.url)
            .env("OSC_CLOUDUPLOAD_TOKEN", &self.token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let osc = command
            .spawn()
            .expect("osc is there: infra/local/faults installs it");
        self.proxy.set_client(osc.id());
        let ended = osc.wait_with_output().await.expect("osc ends");
        match ended.status.success() {
            true => Ok(()),
            false => Err(format!(
                "{}: {}",
                ended.status,
                String::from_utf8_lossy(&ended.stderr)
            )),
        }
    }
}

impl Drop for Osc<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
