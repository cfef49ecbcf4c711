//! The jobs whose images come in, also as files in a folder: a relay that starts ends those that another one was interrupted
//! in. Their images cannot be asked for again.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::job::JobId;

#[derive(Clone)]
pub struct UnderWay {
    folder: PathBuf,
    jobs: Arc<Mutex<BTreeSet<JobId>>>,
    /// How many entries there are at work.
    entries: watch::Sender<usize>,
}

/// A job whose image comes in. If it is dropped, as when the relay ends, the job stays on the list, for the next start.
#[must_use]
pub struct Entry {
    list: UnderWay,
    job: JobId,
}

/// Why a job does not get on the list.
#[derive(Debug, thiserror::Error)]
pub enum NotListed {
    #[error("the image of job {0} comes in already")]
    Already(JobId),
    #[error("{file} cannot be written: {error}")]
    Io { file: PathBuf, error: io::Error },
}

impl UnderWay {
    /// The list in this folder.
    pub fn at(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            jobs: Arc::default(),
            entries: watch::Sender::default(),
        })
    }

    /// Puts a job on the list.
    pub fn add(&self, job: JobId) -> Result<Entry, NotListed> {
        if !self.jobs().insert(job) {
            return Err(NotListed::Already(job));
        }
        let file = self.file(job);
        let written = File::create(&file).and_then(|file| file.sync_all());
        match written {
            Ok(()) => Ok(self.entry(job)),
            Err(error) => {
                self.jobs().remove(&job);
                let _ = fs::remove_file(&file); // it may not be there
                Err(NotListed::Io { file, error })
            }
        }
    }

    /// The jobs that an earlier relay has left on the list. They are on this one's, too.
    pub fn left(&self) -> io::Result<Vec<Entry>> {
        let mut left = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            if let Some(job) = name.to_str().and_then(|name| name.parse().ok()) {
                self.jobs().insert(job);
                left.push(self.entry(job));
            }
        }
        Ok(left)
    }

    /// Waits until nobody works on any entry.
    pub async fn worked_off(&self) {
        // The sender is here, so that there is no error.
        let _ = self.entries.subscribe().wait_for(|count| *count == 0).await;
    }

    fn entry(&self, job: JobId) -> Entry {
        self.entries.send_modify(|count| *count += 1);
        let list = self.clone();
        Entry { list, job }
    }

    fn file(&self, job: JobId) -> PathBuf {
        self.folder.join(job.to_string())
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Takes the job off the list: nothing is left to do for it.
    pub fn remove(self) {
        let file = self.list.file(self.job);
        if let Err(error) = fs::remove_file(&file) {
            eprintln!("{} cannot be removed: {error}", file.display());
        }
        self.list.jobs().remove(&self.job);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.entries.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_on_the_list_once_and_until_it_is_removed() {
        let folder = std::env::temp_dir().join(format!("relay-{}", std::process::id()));
        let list = UnderWay::at(&folder).unwrap();
        let job = |number: &str| number.parse::<JobId>().unwrap();
        let entry = list.add(job("17")).unwrap();
        assert!(matches!(list.add(job("17")), Err(NotListed::Already(_))));
        entry.remove();
        drop(list.add(job("17")).unwrap());

        let next = UnderWay::at(&folder).unwrap();
        let mut left = next.left().unwrap();
        assert_eq!(left.iter().map(Entry::job).collect::<Vec<_>>(), [job("17")]);
        assert!(matches!(next.add(job("17")), Err(NotListed::Already(_))));
        left.remove(0).remove();
        assert!(next.left().unwrap().is_empty());
        assert!(next.add(job("17")).is_ok());
        fs::remove_file(folder.join("17")).unwrap();
        fs::remove_dir(folder).unwrap();
    }
}
