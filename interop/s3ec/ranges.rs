use std::ops::Range;

use anyhow::{Context, Result, ensure};

use crate::object::{Object, Opened, Pairs, Reading, plaintext};
use crate::party::{JAVA, OURS, Party, RUBY, named};

/// Some blocks, and a last one that is not full.
const LENGTH: usize = 1000;
/// Around blocks, around the end, and past it.
const RANGES: [Range<usize>; 10] = [
    0..1,
    0..16,
    5..31,
    15..17,
    16..32,
    32..1000,
    983..1000,
    992..993,
    999..1000,
    999..2000,
];
/// An object in each cipher, and who writes it.
const FORMS: [(&str, &str); 7] = [
    (OURS, "v2 rsa file"),
    (OURS, "v3 aes metadata"),
    (OURS, "v1 aes metadata"),
    (JAVA, "v2 aes metadata"),
    (JAVA, "v3 kms metadata"),
    (JAVA, "v3 rsa file"),
    (RUBY, "v1 aes metadata"),
];

/// Parties that read ranges read the same ones of every kind of object.
///
/// # Errors
/// At the first range that is not read, or as something else.
pub(crate) async fn ranges(parties: &mut [Party]) -> Result<()> {
    let plaintext = plaintext(LENGTH);
    let mut readings = Vec::new();
    for (writer, form) in FORMS {
        let object = Object {
            key: format!("ranges/{writer}/{}", form.replace(' ', "/")),
            form: form.parse()?,
            pairs: Pairs::new(),
            length: LENGTH,
            multipart: false,
        };
        named(parties, writer)?.write(&object).await?;
        readings.push(Reading {
            // Nothing of a range is authenticated.
            legacy: true,
            ..object.reading()
        });
    }
    for party in parties.iter_mut().filter(|party| party.reads_ranges()) {
        let mut count = 0;
        for reading in &readings {
            for range in RANGES {
                let expected = plaintext.get(range.start..range.end.min(LENGTH));
                let expected = Opened::of(expected.context("the range starts past the end")?);
                let label = format!("bytes {range:?}");
                let reading = Reading {
                    range: Some(range),
                    ..reading.clone()
                };
                party
                    .read_as(&reading, &expected)
                    .await
                    .with_context(|| label)?;
                count += 1;
            }
        }
        ensure!(count > 0, "{} reads no range", party.name());
        println!("{}: {count} ranges read", party.name());
    }
    Ok(())
}
