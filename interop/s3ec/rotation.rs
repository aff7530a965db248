use anyhow::{Context, Result, ensure};

use crate::form::{Form, Format, Wrap};
use crate::object::{Object, Opened, Pairs, Reading, pairs, plaintext};
use crate::party::{JAVA, OURS, Party, named};

/// The suffix of a second instruction file, for another reader.
pub(crate) const SECOND_SUFFIX: &str = ".second";

const LENGTH: usize = 1000;

/// A new wrapping key for the file as it is, its description, and the suffix of the new file where
/// the old one stays.
type Step = (Wrap, &'static str, Option<&'static str>);

/// What each party that can does to an instruction file that an AES key has wrapped. Java has no
/// way to or from KMS.
const STEPS: [(&str, &[Step]); 2] = [
    (
        JAVA,
        &[
            (Wrap::Rsa, "2", Some(SECOND_SUFFIX)),
            (Wrap::Rsa, "3", None),
            (Wrap::Aes, "4", None),
        ],
    ),
    (
        OURS,
        &[
            (Wrap::Rsa, "2", Some(SECOND_SUFFIX)),
            (Wrap::Rsa, "3", None),
            (Wrap::Kms, "", None),
            (Wrap::Aes, "4", None),
        ],
    ),
];

/// Instruction files that one party writes anew, under another key, open for all that know the
/// form, and the bodies stay as they are.
///
/// # Errors
/// At the first file that cannot be written anew or does not open.
pub(crate) async fn rotation(parties: &mut [Party]) -> Result<()> {
    for (rewriter, steps) in STEPS {
        let mut counts = vec![0_usize; parties.len()];
        for writer in [JAVA, OURS] {
            for format in [Format::V2, Format::V3] {
                let object = Object {
                    key: format!("rotation/{rewriter}/{writer}/{}", format.name()),
                    form: Form {
                        format,
                        wrap: Wrap::Aes,
                        instruction_file: true,
                    },
                    pairs: pairs([("number", "1")]),
                    length: LENGTH,
                    multipart: false,
                };
                named(parties, writer)?.write(&object).await?;
                let mut from = object.reading();
                for step in steps {
                    let to = to(&from, *step);
                    named(parties, rewriter)?
                        .reencrypt(format, &from, &to)
                        .await
                        .with_context(|| format!("{rewriter}, {}, {step:?}", object.key))?;
                    open(parties, format, &to, &mut counts).await?;
                    match to.suffix {
                        Some(_) => open(parties, format, &from, &mut counts).await?,
                        None => from = to,
                    }
                }
            }
        }
        for (party, count) in parties.iter().zip(counts) {
            let reader = party.name();
            // Python has no raw keys, and Java makes no files for others.
            if count > 0 || party.reads(file(Format::V2, Wrap::Aes)) {
                ensure!(
                    count > 0,
                    "{reader} opens none of the files that {rewriter} wrote anew"
                );
                println!("{rewriter} to {reader}: {count} files under new keys");
            }
        }
    }
    Ok(())
}

fn to(from: &Reading, (wrap, number, suffix): Step) -> Reading {
    Reading {
        wrap,
        pairs: match wrap {
            // The context is that of the object, which has none.
            Wrap::Kms => Pairs::new(),
            Wrap::Aes | Wrap::Rsa => pairs([("number", number)]),
        },
        suffix,
        ..from.clone()
    }
}

fn file(format: Format, wrap: Wrap) -> Form {
    Form {
        format,
        wrap,
        instruction_file: true,
    }
}

/// Every party that has the form opens the object.
async fn open(
    parties: &mut [Party],
    format: Format,
    reading: &Reading,
    counts: &mut [usize],
) -> Result<()> {
    let expected = Opened::of(&plaintext(LENGTH));
    for (party, count) in parties.iter_mut().zip(counts) {
        if party.reads(file(format, reading.wrap)) {
            party.read_as(reading, &expected).await?;
            *count += 1;
        }
    }
    Ok(())
}
