use lambda_http::Body;

use super::{World, error_with_details_xml, refused};
use crate::sample_event::event;

#[tokio::test]
async fn what_breaks_is_told_in_xml() {
    let world = World::new(|_, _| refused("AccessDeniedException", "no"));
    let answer = world.ask("GET", "/cloudupload/1", "").await;
    let summary = "dynamodb:GetItem failed: AccessDeniedException: no";
    assert_eq!(answer, (500, error_with_details_xml(500, summary)));

    let answer = world.ask("DELETE", "/cloudupload/1", "").await;
    let summary = "unknown request: DELETE:/cloudupload/1";
    assert_eq!(answer, (400, error_with_details_xml(400, summary)));

    let mut not_base64 = event("POST", "/cloudupload", "", b"");
    not_base64.body = Some("!".to_owned());
    let response = world.answer(not_base64).await;
    let summary = "internal error: see the log of the function api";
    let body = error_with_details_xml(500, summary);
    assert_eq!(
        (response.status_code, response.body),
        (500, Some(Body::Text(body)))
    );
}
