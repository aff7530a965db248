use anyhow::{Context, Result};

use crate::form::{Form, Format, Wrap};
use crate::object::{Object, Opened, Pairs, Reading, pairs, plaintext};
use crate::party::{JAVA, Party, named};

const LENGTH: usize = 1000;
/// The suffix of a second instruction file, as readers take it.
const SECOND_SUFFIX: &str = ".second";

/// Instruction files that one party writes anew, under another key, open for all that know the
/// form, and the bodies stay as they are.
///
/// # Errors
/// At the first file that cannot be written anew or does not open.
pub(crate) async fn rotation(parties: &mut [Party]) -> Result<()> {
    let mut opened = vec![0_usize; parties.len()];
    for format in [Format::V2, Format::V3] {
        let object = Object {
            key: format!("rotation/{JAVA}/{}", format.name()),
            form: Form {
                format,
                wrap: Wrap::Aes,
                instruction_file: true,
            },
            pairs: described("1"),
            length: LENGTH,
            multipart: false,
        };
        named(parties, JAVA)?.write(&object).await?;

        // A second file for another reader, beside the first.
        let second = to(&object.reading(), Wrap::Rsa, "2", Some(SECOND_SUFFIX));
        reencrypt(parties, &object, &object.reading(), &second).await?;
        open(parties, format, &second, &mut opened).await?;
        open(parties, format, &object.reading(), &mut opened).await?;

        // The same file, there and back.
        let there = to(&object.reading(), Wrap::Rsa, "3", None);
        reencrypt(parties, &object, &object.reading(), &there).await?;
        open(parties, format, &there, &mut opened).await?;
        let back = to(&there, Wrap::Aes, "4", None);
        reencrypt(parties, &object, &there, &back).await?;
        open(parties, format, &back, &mut opened).await?;
    }
    for (party, count) in parties.iter().zip(opened) {
        // Python has no raw keys.
        if count > 0 {
            println!("{JAVA}'s re-encrypted files to {}: {count}", party.name());
        }
    }
    Ok(())
}

fn described(number: &str) -> Pairs {
    pairs([("number", number)])
}

fn to(from: &Reading, wrap: Wrap, number: &str, suffix: Option<&'static str>) -> Reading {
    Reading {
        wrap,
        pairs: described(number),
        suffix,
        ..from.clone()
    }
}

async fn reencrypt(
    parties: &mut [Party],
    object: &Object,
    from: &Reading,
    to: &Reading,
) -> Result<()> {
    let Party::Peer(java) = named(parties, JAVA)?;
    java.reencrypt(object.form.format, from, to)
        .await
        .with_context(|| format!("re-encrypting the instruction file of {}", object.key))
}

/// Every party that has the form opens the object.
async fn open(
    parties: &mut [Party],
    format: Format,
    reading: &Reading,
    counts: &mut [usize],
) -> Result<()> {
    let form = Form {
        format,
        wrap: reading.wrap,
        instruction_file: true,
    };
    let expected = Opened::of(&plaintext(LENGTH));
    for (party, count) in parties.iter_mut().zip(counts) {
        if party.reads(form) {
            party.read_as(reading, &expected).await?;
            *count += 1;
        }
    }
    Ok(())
}
