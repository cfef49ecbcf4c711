//! Lists of jobs. Where not all fit in one answer, the newest are listed: OBS shows its users no list at all on any answer
//! but 200.

use std::collections::BTreeMap;

use cloudupload::job::{JobId, JobSummary};

use super::{
    answer::{Answer, Encoding, MAX_BODY, json_length},
    problem::Problem,
    xml,
};
use crate::api::Access;

/// Those of these jobs that exist, in this order, and twice where a job is named twice.
pub async fn some(
    access: Access<'_>,
    ids: &[JobId],
    encoding: Encoding,
) -> Result<Answer, Problem> {
    let mut entries = Entries::new(encoding);
    let mut times: BTreeMap<JobId, usize> = BTreeMap::new();
    for &id in ids {
        *times.entry(id).or_default() += 1;
    }
    let jobs = access.jobs(times.keys().copied().collect()).await?;
    for (id, job) in jobs {
        entries.add(&job, times[&id]);
    }
    Ok(entries.answer(Some(ids)))
}

/// All jobs, in the order of their numbers.
pub async fn all(access: Access<'_>, encoding: Encoding) -> Result<Answer, Problem> {
    let mut entries = Entries::new(encoding);
    let mut pages = access.all_jobs();
    while let Some(jobs) = pages.next_page().await? {
        for job in jobs {
            entries.add(&job, 1);
        }
    }
    Ok(entries.answer(None))
}

/// The most bytes of entries that are compressed. It bounds the function's memory: a list has a tenth of them when it is
/// compressed, so that this is more than fits, unless the jobs have long details.
const MAX_COMPRESSED_ENTRIES: usize = 32 << 20;

/// The entries of a list, without those of the oldest jobs while they are too long.
struct Entries {
    by_job: BTreeMap<JobId, Entry>,
    /// Bytes that all take up, each as many times as it is listed.
    length: usize,
    max_length: usize,
    encoding: Encoding,
}

struct Entry {
    xml: String,
    length: usize,
}

impl Entries {
    fn new(encoding: Encoding) -> Self {
        Self {
            by_job: BTreeMap::new(),
            length: 0,
            max_length: match encoding {
                Encoding::Identity => MAX_BODY,
                Encoding::Gzip => MAX_COMPRESSED_ENTRIES,
            },
            encoding,
        }
    }

    fn add(&mut self, job: &JobSummary, times: usize) {
        let xml = xml::list_entry(job);
        let length = json_length(&xml) * times;
        self.length += length;
        self.by_job.insert(job.id, Entry { xml, length });
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        while self.length > self.max_length
            && let Some((_, entry)) = self.by_job.pop_first()
        {
            self.length -= entry.length;
        }
    }

    /// The list in this order, or in that of the jobs' numbers.
    fn answer(mut self, order: Option<&[JobId]>) -> Answer {
        loop {
            let xml = self.xml(order);
            match self.encoding {
                Encoding::Identity => return Answer::Xml(xml),
                Encoding::Gzip => match Answer::gzip(&xml) {
                    Ok(answer) => return answer,
                    Err(too_long) => {
                        let share = 0.9 * MAX_BODY as f64 / too_long.length as f64;
                        self.max_length = (self.length as f64 * share) as usize;
                        self.drop_oldest();
                    }
                },
            }
        }
    }

    fn xml(&self, order: Option<&[JobId]>) -> String {
        let entries: Vec<&str> = match order {
            Some(ids) => {
                let known = ids.iter().filter_map(|id| self.by_job.get(id));
                known.map(|entry| entry.xml.as_str()).collect()
            }
            None => self
                .by_job
                .values()
                .map(|entry| entry.xml.as_str())
                .collect(),
        };
        xml::job_list(&entries)
    }
}
