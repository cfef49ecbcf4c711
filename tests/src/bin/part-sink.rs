//! `part-sink --port N [--md5] [--pace BYTES]`: what it does is said at `tests::part_sink`.

use std::{env, process::ExitCode};

use tests::{
    part_sink::{Likeness, Sink},
    serve::{fail, listen},
};

#[tokio::main]
async fn main() -> ExitCode {
    let Some((port, likeness)) = arguments() else {
        return fail("usage: part-sink --port N [--md5] [--pace BYTES]");
    };
    match listen(&port).await {
        Ok(listener) => Sink::new(likeness).serve(listener).await,
        Err(code) => code,
    }
}

fn arguments() -> Option<(String, Likeness)> {
    let (mut port, mut likeness) = (None, Likeness::default());
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => port = Some(words.next()?),
            "--md5" => likeness.md5 = true,
            "--pace" => likeness.pace = Some(words.next()?.parse().ok().filter(|&pace| pace > 0)?),
            _ => return None,
        }
    }
    Some((port?, likeness))
}
