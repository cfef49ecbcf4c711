//! The XML of OBS. What is read out of it has to be what a second reader finds there.

#![no_main]

use cloudupload::obs::read::{binary_list, summary};
use fuzz::{seeds, text};
use libfuzzer_sys::fuzz_target;
use roxmltree::Document;

const SEEDS: [&str; 4] = [
    "<?xml version=\"1.0\"?>\n<binarylist package=\"x\"><binary filename=\"a&amp;b.raw.xz\" size=\"23\" mtime=\"17\" />\
     <binary filename='&#98;' size='1'></binary>\n</binarylist>\n",
    "<binarylist />\n",
    "<status code=\"404\">\n  <summary>'x' is &lt;not&gt; here</summary>\n  <details>404 no</details>\n</status>\n",
    "<status><summary><![CDATA[a]]>b<!-- c --></summary></status>",
];

fuzz_target!(init: seeds::write(SEEDS), |data: &[u8]| {
    let Ok(xml) = std::str::from_utf8(data) else {
        return;
    };
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
        let list = list.iter().map(|binary| (Some(binary.filename.as_str()), binary.size));
        for ((name, size), binary) in binaries.zip(list.clone()) {
            assert_eq!((name, size.and_then(|size| size.parse().ok())), (binary.0, Some(binary.1)));
        }
        assert_eq!(root.children().filter(|node| node.has_tag_name("binary")).count(), list.count());
    }
    if let Some(summary) = summary {
        assert!(root.has_tag_name("status"));
        let element = root.children().find(|node| node.has_tag_name("summary"));
        assert_eq!(element.map(text), Some(summary));
    }
});
