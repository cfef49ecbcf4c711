//! The XML of OBS. The input is a document, or the attributes of a list's entries, a line each, or the text of a summary:
//! a fuzzer seldom writes whole elements. What is read out of each has to be what a second reader finds there.

#![no_main]

use cloudupload::obs::read::{binary_list, directory, packages_of_results, summary};
use fuzz::{seeds, text};
use libfuzzer_sys::fuzz_target;
use roxmltree::Document;

const SEEDS: [&str; 8] = [
    "<?xml version=\"1.0\"?>\n<binarylist package=\"x\"><binary filename=\"a&amp;b.raw.xz\" size=\"23\" mtime=\"17\" />\
     <binary filename='&#98;' size='1'></binary>\n</binarylist>\n",
    "<binarylist />\n",
    "<status code=\"404\">\n  <summary>'x' is &lt;not&gt; here</summary>\n  <details>404 no</details>\n</status>\n",
    "<status><summary><![CDATA[a]]>b<!-- c --></summary></status>",
    "<directory count='1'><entry name=\"Cloud:Images\" /><entry name=\"a&amp;b\"/></directory>",
    "<resultlist state=\"1\"><result project=\"p\"><status package=\"leap:xen\" code=\"failed\"/></result></resultlist>",
    "filename=\"a&amp;b.raw.xz\" size=\"23\" mtime=\"17\"\nsize='0' filename='&#x62;'",
    "'x' is &lt;not&gt; <![CDATA[here]]><!-- or there -->",
];

fuzz_target!(init: seeds::write(SEEDS), |data: &[u8]| {
    let Ok(input) = std::str::from_utf8(data) else {
        return;
    };
    check(input);
    let entries = input.split('\n').map(|line| format!("<binary {line}/>"));
    check(&format!("<binarylist>{}</binarylist>", entries.collect::<String>()));
    check(&format!("<status><summary>{input}</summary></status>"));
});

fn check(xml: &str) {
    let (list, summary) = (binary_list(xml), summary(xml));
    // The second reader is a stricter one.
    let Ok(document) = Document::parse(xml) else {
        return;
    };
    let root = document.root_element();
    if let Ok(list) = list {
        assert!(root.has_tag_name("binarylist"));
        let binaries = root.children().filter(|node| node.has_tag_name("binary"));
        let binaries = binaries.map(|node| (node.attribute("filename"), node.attribute("size")));
        let list = list
            .iter()
            .map(|binary| (Some(binary.filename.as_str()), binary.size));
        for ((name, size), binary) in binaries.zip(list.clone()) {
            assert_eq!(
                (name, size.and_then(|size| size.trim().parse().ok())),
                (binary.0, Some(binary.1))
            );
        }
        assert_eq!(
            root.children()
                .filter(|node| node.has_tag_name("binary"))
                .count(),
            list.count()
        );
    }
    if let Ok(names) = directory(xml) {
        assert!(root.has_tag_name("directory"));
        let entries = root.children().filter(|node| node.has_tag_name("entry"));
        let entries = entries.map(|node| node.attribute("name"));
        assert!(entries.eq(names.iter().map(|name| Some(name.as_str()))));
    }
    if let Ok(packages) = packages_of_results(xml) {
        assert!(root.has_tag_name("resultlist"));
        let results = root.children().filter(|node| node.has_tag_name("result"));
        let statuses = results.flat_map(|result| result.children());
        let statuses = statuses.filter(|node| node.has_tag_name("status"));
        let statuses = statuses.map(|node| node.attribute("package"));
        assert!(statuses.eq(packages.iter().map(|name| Some(name.as_str()))));
    }
    if let Some(summary) = summary {
        assert!(root.has_tag_name("status"));
        let element = root.children().find(|node| node.has_tag_name("summary"));
        // `text` has no carriage returns, not even those that were written as `&#13;`.
        assert_eq!(element.map(text), Some(summary.replace('\r', "\n")));
    }
}
