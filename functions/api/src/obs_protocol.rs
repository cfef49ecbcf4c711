//! How OBS speaks: requests and answers as a real OBS backend has them.

pub mod answer;
mod job_list;
pub mod job_skeleton;
mod log_query;
pub mod operation;
pub mod parameters;
pub mod problem;
pub mod request;
pub mod xml;

use self::{
    answer::{Answer, Encoding},
    log_query::LogQuery,
    operation::Operation,
    problem::Problem,
};
use crate::api::Access;

/// Does what is requested.
pub async fn perform(
    access: Access<'_>,
    operation: Operation,
    encoding: Encoding,
) -> Result<Answer, Problem> {
    match operation {
        Operation::Create(new) => Ok(Answer::Xml(xml::job(&access.create(*new).await?.into()))),
        Operation::Submit(submission) => {
            Ok(Answer::Xml(xml::job(&access.submit(*submission).await?)))
        }
        // The functions fetch the image from OBS themselves.
        Operation::ReceiveImage(_) => Ok(Answer::Xml(xml::ok())),
        Operation::List(ids) => job_list::some(access, &ids, encoding).await,
        Operation::ListAll => job_list::all(access, encoding).await,
        Operation::Status(id) => Ok(Answer::Xml(xml::job(&access.status(id).await?))),
        Operation::Kill(id) => Ok(Answer::Xml(xml::job(&access.kill(id).await?))),
        Operation::Log(id, LogQuery::Part { range, follow }) => {
            Answer::log(access.log(id, range, follow).await?)
        }
        Operation::Log(id, LogQuery::Info) => {
            let info = access.log_info(id).await?;
            Ok(Answer::Xml(xml::log_directory(info.size, info.modified)))
        }
        Operation::Daemons(types) => Ok(Answer::Xml(xml::daemons(&types, access.started()))),
    }
}
