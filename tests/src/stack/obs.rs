//! Build results in OBS, and uploads of them.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::fs;

use super::Stack;
use crate::{
    Route, disk,
    environment::{env_var, unique},
};

/// The name of the test disk as a build result.
pub const DISK_FILE: &str = "disk.raw.xz";

/// A request for an upload.
#[derive(Clone, Debug)]
pub struct Upload {
    pub user: String,
    pub project: String,
    pub repository: String,
    pub arch: String,
    pub package: String,
    pub filename: String,
    pub body: Value,
}

impl Upload {
    /// The same by this route. By `copy`, the role is one that allows no other.
    pub fn via(mut self, route: Route) -> Self {
        self.body["route"] = route.to_string().into();
        if route == Route::Copy {
            self.body["arn"] = env_var("USER_EC2_ROLE_ARN").into();
        }
        self
    }

    /// The build result in OBS.
    fn path(&self) -> PathBuf {
        [
            &env_var("OBS_ROOT"),
            &self.project,
            &self.repository,
            &self.arch,
            &self.package,
            &self.filename,
        ]
        .iter()
        .collect()
    }
}

impl Stack {
    /// An upload of a file of this package. The user has the package's name, so that tests do not share users.
    pub fn upload(&self, package: &str, filename: &str) -> Upload {
        Upload {
            user: package.to_owned(),
            project: "Cloud:Images".to_owned(),
            repository: "images".to_owned(),
            arch: "x86_64".to_owned(),
            package: package.to_owned(),
            filename: filename.to_owned(),
            body: json!({
                "arn": env_var("USER_ROLE_ARN"),
                "external_id": env_var("USER_EXTERNAL_ID"),
                "region": self.region,
                "ami_name": format!("{package} {}", unique()),
            }),
        }
    }

    /// Makes the bytes the build result that is to be uploaded.
    pub async fn build(&self, upload: &Upload, bytes: &[u8]) {
        let file = upload.path();
        let folder = file.parent().expect("a build result lies in a folder");
        fs::create_dir_all(folder)
            .await
            .expect("OBS_ROOT can be written");
        fs::write(&file, bytes)
            .await
            .expect("OBS_ROOT can be written");
    }

    /// An upload of the test disk, which is built as the package's result.
    pub async fn built_disk(&self, package: &str) -> Upload {
        let upload = self.upload(package, DISK_FILE);
        self.build(&upload, &disk::disk().await.xz).await;
        upload
    }

    /// Sets the faults that OBS shows while it serves the file, in the form that `infra/local/obs` reads.
    pub async fn set_obs_faults(&self, upload: &Upload, faults: Value) {
        let mut file = upload.path().into_os_string();
        file.push(".faults.json");
        fs::write(file, faults.to_string())
            .await
            .expect("OBS_ROOT can be written");
    }
}
