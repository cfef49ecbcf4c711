//! The part of the API for the users of this service.

use reqwest::{
    Client, Method, StatusCode,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde_json::Value;

use super::Stack;

impl Stack {
    /// The stack, for whoever has this token.
    pub async fn for_token(token: &str) -> Self {
        let mut stack = Self::for_caller(None).await;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        let bearer = bearer.expect("a token fits in a header");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let client = Client::builder().default_headers(headers).build();
        stack.http = client.expect("a client can be built");
        stack
    }

    /// Status and JSON of the answer; nothing where there is no body.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.expect("the API answers");
        let status = answer.status();
        let text = answer.text().await.expect("the answer is text");
        let json = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
        };
        (status, json)
    }

    /// The JSON of an answer that has to have this status.
    pub async fn expect(
        &self,
        status: StatusCode,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        let (answered, json) = self.ask(method.clone(), path, body).await;
        assert_eq!(answered, status, "{method} {path}: {json}");
        json
    }
}
