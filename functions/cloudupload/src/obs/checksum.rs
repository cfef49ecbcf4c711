//! Files with the SHA-256 of the file beside them: what `sha256sum` prints, bare or signed in clear text, as OBS publishes
//! them (RFC 9580, 7, "Cleartext Signature Framework").

const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// Why a file has no sum to compare with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSum {
    #[error("it is signed, but has no signed text")]
    NothingSigned,
    #[error("it has no line with a SHA-256")]
    NoLine,
    #[error("it has the sum of '{0}'")]
    OfAnother(String),
    #[error("it has different sums of the file")]
    Contradiction,
}

/// The SHA-256 in lower-case hex that the text says the file called `name` has. A sum without a name is the file's.
pub(super) fn sha256_of(name: &str, text: &str) -> Result<String, NoSum> {
    let mut sums = signed_text(text)?
        .lines()
        .filter_map(sum_and_name)
        .peekable();
    let Some((_, first)) = sums.peek() else {
        return Err(NoSum::NoLine);
    };
    let other = NoSum::OfAnother((*first).to_owned());
    let mut own = sums.filter(|(_, of)| of.is_empty() || *of == name);
    let (sum, _) = own.next().ok_or(other)?;
    match own.all(|(more, _)| more == sum) {
        true => Ok(sum),
        false => Err(NoSum::Contradiction),
    }
}

/// The text between the headers and the signature of a signed message, or all of another text.
fn signed_text(text: &str) -> Result<&str, NoSum> {
    let Some(message) = text.trim_start().strip_prefix(SIGNED) else {
        return Ok(text);
    };
    let end = message.find(SIGNATURE).ok_or(NoSum::NothingSigned)?;
    let message = &message[..end];
    let blank_line = ["\n\n", "\r\n\r\n"]
        .into_iter()
        .filter_map(|blank| message.find(blank))
        .min();
    blank_line
        .map(|at| &message[at..])
        .ok_or(NoSum::NothingSigned)
}

/// The sum and the name of a line such as `<64 hex digits>  NAME`, with `*` before the name of a file read as binary.
fn sum_and_name(line: &str) -> Option<(String, &str)> {
    let line = line.trim_end();
    let (sum, rest) = line.split_at_checked(64)?;
    if !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let name = match rest.as_bytes() {
        [] => "",
        [b' ', b' ' | b'*', _, ..] => &rest[2..],
        _ => return None,
    };
    let file_name = name.rsplit('/').next().unwrap_or(name);
    Some((sum.to_ascii_lowercase(), file_name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const OTHER: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn sum_in(text: &str) -> Result<String, NoSum> {
        sha256_of("a.raw.xz", text)
    }

    #[test]
    fn every_usual_form_is_read() {
        for text in [
            format!("{SUM}  a.raw.xz\n"),
            format!("{SUM} *a.raw.xz"),
            format!("{SUM}  ./images/a.raw.xz\r\n"),
            SUM.to_owned(),
            format!("{}\n", SUM.to_uppercase()),
            format!("{OTHER}  b.raw.xz\n{SUM}  a.raw.xz\n"),
            format!("{SUM}  a.raw.xz\n{SUM}  a.raw.xz\n"),
            // As OBS signs it when it publishes the image.
            format!(
                "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{SUM}  a.raw.xz\n-----BEGIN PGP SIGNATURE-----\n\
                 Version: GnuPG v1.0.7 (GNU/Linux)\n\niQEVAwUBY\n=abcd\n-----END PGP SIGNATURE-----\n"
            ),
            format!(
                "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n{SUM}  a.raw.xz\r\n\
                 -----BEGIN PGP SIGNATURE-----\r\n"
            ),
        ] {
            assert_eq!(sum_in(&text).as_deref(), Ok(SUM), "{text}");
        }
    }

    #[test]
    fn what_has_no_sum_of_the_file_is_told() {
        for (text, reason) in [
            (String::new(), "it has no line with a SHA-256"),
            ("<html></html>".to_owned(), "it has no line with a SHA-256"),
            (SUM[1..].to_owned(), "it has no line with a SHA-256"),
            (format!("{SUM}0  a.raw.xz"), "it has no line with a SHA-256"),
            (format!("{SUM} 1234 8192"), "it has no line with a SHA-256"),
            (format!("{SUM}  a.raw"), "it has the sum of 'a.raw'"),
            (
                format!("{SUM}  a.raw.xz\n{OTHER}  a.raw.xz"),
                "it has different sums of the file",
            ),
            (
                format!("{SUM}\n{OTHER}"),
                "it has different sums of the file",
            ),
            (
                format!("-----BEGIN PGP SIGNED MESSAGE-----\n\n{SUM}"),
                "it is signed, but has no signed text",
            ),
            // What stands after the signed text is not signed.
            (
                format!(
                    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n-----BEGIN PGP SIGNATURE-----\n{SUM}  a.raw.xz\n"
                ),
                "it has no line with a SHA-256",
            ),
        ] {
            assert_eq!(sum_in(&text).unwrap_err().to_string(), reason, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}", signed: bool) {
            let _ = sum_in(&text);
            if signed {
                let _ = sum_in(&format!("{SIGNED}\n{text}\n\n{text}\n{SIGNATURE}"));
            }
        }
    }
}
