//! Answers of S3.

use crate::Answer;

/// An upload begins (API reference, CreateMultipartUpload, "Response Syntax").
pub fn upload(id: &str) -> Answer {
    Answer::ok(format!(
        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
    ))
}

/// A page of an upload's parts, by number and size; the number after which the next page begins (API reference,
/// ListParts, "Response Syntax"). The ETag of part 1 is `"e1"`, its checksum `c1==`.
pub fn parts(parts: &[(i32, u64)], next: Option<i32>) -> Answer {
    let parts: String = parts
        .iter()
        .map(|(number, size)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>\"e{number}\"</ETag><Size>{size}</Size>\
                 <ChecksumCRC32>c{number}==</ChecksumCRC32></Part>"
            )
        })
        .collect();
    let next = next.map(|next| format!("<NextPartNumberMarker>{next}</NextPartNumberMarker>"));
    let (truncated, next) = (next.is_some(), next.unwrap_or_default());
    Answer::ok(format!(
        "<ListPartsResult><IsTruncated>{truncated}</IsTruncated>{next}{parts}</ListPartsResult>"
    ))
}

/// An upload became an object (API reference, CompleteMultipartUpload, "Response Syntax").
pub fn completed(etag: &str) -> Answer {
    Answer::ok(format!(
        "<CompleteMultipartUploadResult><ETag>\"{etag}\"</ETag></CompleteMultipartUploadResult>"
    ))
}

/// A page of the uploads in a bucket, by key and id; whether there are more (API reference, ListMultipartUploads,
/// "Response Syntax").
pub fn uploads(uploads: &[(&str, &str)], truncated: bool) -> Answer {
    let next = match (truncated, uploads.last()) {
        (true, Some((key, id))) => format!(
            "<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>"
        ),
        _ => String::new(),
    };
    let uploads: String = uploads
        .iter()
        .map(|(key, id)| format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"))
        .collect();
    Answer::ok(format!(
        "<ListMultipartUploadsResult><IsTruncated>{truncated}</IsTruncated>{next}{uploads}\
         </ListMultipartUploadsResult>"
    ))
}
