//! Lists of jobs, as long as they fit in one answer.

use std::collections::BTreeMap;

use cloudupload::job::{Job, JobId};

use super::{
    answer::{Answer, MAX_BODY, json_length},
    problem::Problem,
    xml,
};
use crate::api::Access;

/// Those of these jobs that exist, in this order, and twice where a job is named twice.
pub async fn some(access: Access<'_>, ids: &[JobId]) -> Result<Answer, Problem> {
    let jobs = access.jobs(ids.iter().copied().collect()).await?;
    let mut entries = Entries::default();
    let found = ids.iter().filter_map(|id| jobs.get(id));
    let list = found
        .map(|job| entries.entry(job))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Answer::Xml(xml::job_list(&list)))
}

/// All jobs, in the order of their numbers.
pub async fn all(access: Access<'_>) -> Result<Answer, Problem> {
    let mut list = BTreeMap::new();
    let mut entries = Entries::default();
    let mut pages = access.all_jobs();
    while let Some(jobs) = pages.next_page().await? {
        for job in jobs {
            list.insert(job.id, entries.entry(&job)?);
        }
    }
    let list: Vec<String> = list.into_values().collect();
    Ok(Answer::Xml(xml::job_list(&list)))
}

/// Writes the entries of a list, and counts their length.
#[derive(Default)]
struct Entries {
    length: usize,
}

impl Entries {
    fn entry(&mut self, job: &Job) -> Result<String, Problem> {
        let entry = xml::list_entry(job);
        self.length += json_length(&entry);
        if self.length > MAX_BODY {
            return Err(Problem::bad_request(
                "there are more jobs than fit in one answer: ask for some of them, with name=",
            ));
        }
        Ok(entry)
    }
}
