//! Reads many jobs. One whose record cannot be read is left out, and does not keep back the others: the function's log
//! tells of it.

use std::collections::{BTreeSet, HashMap};

use cloudupload::{
    job::{JobId, JobSummary},
    store::{Item, StoreError},
};
use lambda_http::tracing;

use super::{Access, ApiError};

impl<'a> Access<'a> {
    /// Those of these jobs that exist and that the caller may see.
    pub async fn jobs(self, ids: BTreeSet<JobId>) -> Result<HashMap<JobId, JobSummary>, ApiError> {
        let jobs = self.api.jobs.summaries(ids).await?;
        Ok(jobs
            .into_iter()
            .filter_map(|(id, job)| Some((id, readable(job)?)))
            .filter(|(_, job)| self.may_see(job))
            .collect())
    }

    /// Jobs of the user of this service who calls, the newest first, and where to go on if there may be more.
    pub async fn own_jobs(
        self,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<(Vec<JobSummary>, Option<JobId>), ApiError> {
        let owner = self.signed_in()?.owner();
        let ids = self.api.jobs.owned(&owner, before, limit).await?;
        let mut jobs = self.jobs(ids.iter().copied().collect()).await?;
        let next = ids.last().copied().filter(|_| ids.len() == limit);
        let jobs = ids.iter().filter_map(|id| jobs.remove(id));
        Ok((jobs.collect(), next))
    }

    /// All jobs that the caller may see.
    pub fn all_jobs(self) -> JobPages<'a> {
        JobPages {
            access: self,
            next: Page::First,
        }
    }
}

/// All jobs in no order, a page at a time: together they may be more than fits into memory.
pub struct JobPages<'a> {
    access: Access<'a>,
    next: Page,
}

enum Page {
    First,
    From(Item),
    None,
}

impl JobPages<'_> {
    /// The next page; none after the last.
    pub async fn next_page(&mut self) -> Result<Option<Vec<JobSummary>>, ApiError> {
        let from = match std::mem::replace(&mut self.next, Page::None) {
            Page::First => None,
            Page::From(item) => Some(item),
            Page::None => return Ok(None),
        };
        let (jobs, next) = self.access.api.jobs.page(from).await?;
        self.next = next.map_or(Page::None, Page::From);
        let jobs = jobs.into_iter().filter_map(readable);
        Ok(Some(jobs.filter(|job| self.access.may_see(job)).collect()))
    }
}

fn readable(job: Result<JobSummary, StoreError>) -> Option<JobSummary> {
    job.inspect_err(|error| tracing::error!("left out of a list: {error}"))
        .ok()
}
