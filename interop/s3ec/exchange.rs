use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;

use crate::form::{Form, Format, Wrap};
use crate::object::{Object, Opened, PART_SIZE, Pairs, pairs, plaintext};
use crate::party::{OURS, Party};

/// Lengths of plaintexts that go in one piece: around the cipher's block, and many of them.
const LENGTHS: [usize; 7] = [0, 1, 15, 16, 17, 1 << 10, (1 << 20) + 3];

/// Every party writes in every form that it has, and every party that has the form reads it.
///
/// # Errors
/// At the first object that anyone cannot write or reads as something else, and when a pair of
/// parties has no form in common.
pub(crate) async fn exchange(parties: &mut [Party]) -> Result<()> {
    let expected = expected();
    for writer in 0..parties.len() {
        let mut counts = vec![0_usize; parties.len()];
        for object in objects(party(parties, writer)?) {
            let label = format!("{} bytes", object.length);
            party(parties, writer)?
                .write(&object)
                .await
                .with_context(|| format!("writing {}", object.key))?;
            let expected = expected
                .iter()
                .find(|opened| opened.length == object.length)
                .context("no such length")?;
            let readings = parties.iter_mut().zip(&mut counts).map(|(reader, count)| {
                let reading = object.reading();
                async move {
                    if reader.reads(object.form) {
                        reader.read_as(&reading, expected).await?;
                        *count += 1;
                    }
                    anyhow::Ok(())
                }
            });
            try_join_all(readings).await.with_context(|| label)?;
        }
        let from = party(parties, writer)?.name();
        for (reader, count) in parties.iter().zip(counts) {
            let to = reader.name();
            ensure!(count > 0, "{from} and {to} have no form in common");
            println!("{from} to {to}: {count} objects");
        }
    }
    Ok(())
}

fn party(parties: &mut [Party], index: usize) -> Result<&mut Party> {
    parties.get_mut(index).context("no such party")
}

/// What every object must be read as.
fn expected() -> Vec<Opened> {
    let parts = [PART_SIZE + 3];
    let lengths = LENGTHS.iter().chain(&parts);
    lengths
        .map(|length| Opened::of(&plaintext(*length)))
        .collect()
}

fn objects(writer: &Party) -> Vec<Object> {
    let mut sizes: Vec<_> = LENGTHS.map(|length| (length, false)).to_vec();
    // A client without multipart uploads sends so much in one piece.
    sizes.push((PART_SIZE + 3, writer.multipart()));
    let mut objects = Vec::new();
    for form in writer.writes() {
        for pairs in pairs_of(writer, *form) {
            for (length, multipart) in &sizes {
                objects.push(Object {
                    key: format!(
                        "{}/{}/{}/{length}",
                        writer.name(),
                        form.to_string().replace(' ', "/"),
                        if pairs.is_empty() {
                            "bare"
                        } else {
                            "described"
                        },
                    ),
                    form: *form,
                    pairs: pairs.clone(),
                    length: *length,
                    multipart: *multipart,
                });
            }
        }
    }
    objects
}

/// None, and some where the form has a place for them.
fn pairs_of(writer: &Party, form: Form) -> Vec<Pairs> {
    let some = match form.wrap {
        // Version 1 clients take no context.
        Wrap::Kms if form.format == Format::V2Cbc => return vec![Pairs::new()],
        Wrap::Kms => pairs([("department", "peers"), ("quoted", "\"<&>\\ /")]),
        // Ours alone stores other text so that every reader understands it, and Python, which reads no
        // raw keys, refuses it.
        Wrap::Aes | Wrap::Rsa if writer.name() == OURS => {
            pairs([("key", form.wrap.name()), ("é", "値, \u{1F511}")])
        }
        Wrap::Aes | Wrap::Rsa => pairs([("key", form.wrap.name()), ("quoted", "\"<&>\\ /")]),
    };
    vec![Pairs::new(), some]
}
