//! What the fuzzers share.

pub mod mend;
pub mod seeds;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The result of a future that has nothing to wait for.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

/// The text of all that is in an XML element.
pub fn text(node: roxmltree::Node<'_, '_>) -> String {
    node.descendants()
        .filter(|node| node.is_text())
        .filter_map(|node| node.text())
        .collect()
}

/// What a reader of XML gets of a text that was written into it: characters that XML cannot say are left out, and each
/// line ends with a line feed ("Extensible Markup Language (XML) 1.0", 2.2 and 2.11).
pub fn as_xml_has_it(text: &str) -> String {
    let legal = |c: &char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    let legal = text.chars().filter(legal).collect::<String>();
    legal.replace("\r\n", "\n").replace('\r', "\n")
}
