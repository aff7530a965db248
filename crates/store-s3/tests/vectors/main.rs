//! Objects and rules of other clients, each a test of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

#[path = "../support/mod.rs"]
mod support;

mod contexts;
mod encodings;
mod golden;
mod messages;
mod policies;
mod ranges;
mod tampering;

use std::collections::BTreeMap;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use support::{GOLDEN, text};

/// How many tests each group holds, so that lost data is noticed.
const GROUPS: [(&str, usize); 14] = [
    ("client", 15),
    ("context", 8),
    ("context-on-write", 3),
    ("default", 7),
    ("double-encoding", 5),
    ("golden", 126),
    ("message", 8),
    ("range", 7),
    ("range-of-cbc", 7),
    ("range-refused", 7),
    ("range-request", 14),
    ("read", 30),
    ("tamper", 16),
    ("wrap", 11),
];

/// A group of tests over the entries of a list.
struct Group<'a> {
    name: &'static str,
    entries: &'a Value,
    /// What an entry is called.
    label: fn(usize, &Value) -> String,
    test: fn(&Value),
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let parse = |text| serde_json::from_str::<Value>(text).unwrap();
    let messages = parse(include_str!("s3ec/message_fixtures.json"));
    let policy = parse(include_str!("s3ec/commitment_policy.json"));
    let context = parse(include_str!("s3ec/encryption_context.json"));
    let encoding = parse(include_str!("s3ec/s3_double_encoding.json"));
    let range = parse(include_str!("s3ec/ranges.json"));
    let tamper = parse(include_str!("s3ec/tamper_cases.json"));

    let by_id: fn(usize, &Value) -> String = |_, entry| text(&entry["id"]).to_owned();
    let by_value: fn(usize, &Value) -> String = |_, entry| match entry.as_str() {
        Some(text) => text.to_owned(),
        None => entry.to_string(),
    };
    let by_number: fn(usize, &Value) -> String = |number, entry| format!("{number}: {entry}");
    let group = |name, entries, label, test| Group {
        name,
        entries,
        label,
        test,
    };
    let behaviour = &range["behaviour_200_bytes"];
    let defaults = pairs(&policy["defaults"]);
    let groups = [
        group("golden", &GOLDEN["objects"], by_id, golden::check),
        group("message", &messages["fixtures"], by_id, messages::check),
        group(
            "client",
            &policy["client_construction"],
            policies::label,
            policies::client,
        ),
        group("read", &policy["reads"], policies::label, policies::read),
        group("wrap", &policy["wraps"], policies::label, policies::wrap),
        group("default", &defaults, by_value, policies::default),
        group("context", &context["cases"], by_number, contexts::check),
        group(
            "context-on-write",
            &context["on_write"],
            by_number,
            contexts::on_write,
        ),
        group(
            "double-encoding",
            &encoding["cases"],
            |_, case| text(&case["original"]).to_owned(),
            encodings::check,
        ),
        group("range", &behaviour["cases"], ranges::label, ranges::gcm),
        group(
            "range-of-cbc",
            &behaviour["cbc_same"],
            by_value,
            ranges::cbc,
        ),
        group(
            "range-refused",
            &range["must_fail_in_ranged_reads"],
            by_value,
            ranges::refused,
        ),
        group(
            "range-request",
            &range["request_range"],
            |number, entry| format!("{number}: {}", entry["caller"]),
            ranges::request,
        ),
        group("tamper", &tamper["recipes"], by_id, tampering::check),
    ];

    let mut trials = Vec::new();
    let mut found = BTreeMap::new();
    for Group {
        name,
        entries,
        label,
        test,
    } in groups
    {
        for (number, entry) in entries.as_array().unwrap().iter().enumerate() {
            let (title, entry) = (label(number, entry), entry.clone());
            *found.entry(name).or_insert(0) += 1;
            trials.push(Trial::test(format!("{name}::{title}"), move || {
                test(&entry);
                Ok(())
            }));
        }
    }
    trials.push(Trial::test("every_vector_is_here", move || {
        assert_eq!(found, BTreeMap::from(GROUPS));
        Ok(())
    }));
    for (name, test) in [
        (
            "contexts::of_the_first_kms_wrap",
            contexts::of_the_first_kms_wrap as fn(),
        ),
        ("contexts::name_the_cipher", contexts::name_the_cipher),
        ("encodings::of_a_kms_context", encodings::of_a_kms_context),
        ("encodings::of_ours_are_ascii", encodings::of_ours_are_ascii),
        ("ranges::beyond_the_object", ranges::beyond_the_object),
        (
            "ranges::every_one_of_a_short_object",
            ranges::every_one_of_a_short_object,
        ),
    ] {
        trials.push(Trial::test(name, move || {
            test();
            Ok(())
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The members of an object, as a list.
fn pairs(object: &Value) -> Value {
    let members = object.as_object().unwrap().iter();
    members
        .map(|(name, value)| serde_json::json!([name, value]))
        .collect()
}
