use super::*;
use crate::metadata::fields::MAXIMUM_LENGTH;

#[test]
fn values_of_wrong_lengths_are_refused() {
    for (object, name, wrong) in [
        (v2(), IV, vec![0, 11, 13, 16]),
        (v2_cbc(), IV, vec![0, 12, 15, 17]),
        (v1(), IV, vec![0, 12, 15, 17]),
        (v3(), COMMITMENT_V3, vec![0, 20, 27, 29, 40]),
        (v3(), MESSAGE_ID_V3, vec![0, 27, 29, 32]),
        (v2(), KEY_V2, vec![0, 32, 59, 61, 256]),
        (v3(), KEY_V3, vec![0, 32, 59, 61, 256]),
        (v1(), KEY_V1, vec![0, 16, 31, 40, 47]),
    ] {
        for length in wrong {
            let outcome = with(object.clone(), name, &of_length(length));
            assert_eq!(outcome, format!("invalid {name}"), "{length}");
        }
    }
    for (wrap, right, wrong) in [
        ("AESWrap", vec![24, 32, 40], vec![0, 16, 39, 41, 60]),
        ("kms", vec![1, 184], vec![0]),
        ("kms+context", vec![1, 184], vec![0]),
        ("RSA-OAEP-SHA1", vec![128, 256, 512], vec![0]),
        (
            "RSA/ECB/OAEPWithSHA-256AndMGF1Padding",
            vec![128, 256, 512],
            vec![0],
        ),
    ] {
        let mut object = v2();
        set(&mut object, WRAP, wrap);
        for length in right {
            let outcome = with(object.clone(), KEY_V2, &of_length(length));
            assert_eq!(outcome, "v2", "{wrap} {length}");
        }
        for length in wrong {
            let outcome = with(object.clone(), KEY_V2, &of_length(length));
            assert_eq!(outcome, "invalid x-amz-key-v2", "{wrap} {length}");
        }
    }
}

#[test]
fn v1_is_rsa_when_its_key_is_long() {
    for (length, wrap) in [
        (32, WrapAlgorithm::V1Aes),
        (48, WrapAlgorithm::V1Aes),
        (49, WrapAlgorithm::V1Rsa),
        (256, WrapAlgorithm::V1Rsa),
    ] {
        let mut object = v1();
        set(&mut object, KEY_V1, &of_length(length));
        assert_eq!(read(&object, None).unwrap().wrap, wrap, "{length}");
    }
}

#[test]
fn base64_is_strict() {
    let id = of_length(28);
    for wrong in [
        id.trim_end_matches('=').to_owned(),
        format!("{id}\n"),
        format!(" {id}"),
        format!("{}\n{}", &id[..4], &id[4..]),
        id.replace("Bw==", "Bx=="),
        "_".repeat(40),
        "notvalidbase64".to_owned(),
    ] {
        let mut object = v3();
        set(&mut object, MESSAGE_ID_V3, &wrong);
        let error = read(&object, None).unwrap_err();
        let Error::InvalidValue { key, reason } = &error else {
            panic!("{wrong}: {error}");
        };
        assert_eq!((*key, reason.contains("base64")), (MESSAGE_ID_V3, true));
    }
}

#[test]
fn unknown_algorithms_are_named() {
    assert_eq!(with(v2(), WRAP, "AES"), "unknown x-amz-wrap-alg AES");
    assert_eq!(with(v2(), WRAP, "KMS"), "unknown x-amz-wrap-alg KMS");
    assert_eq!(with(v2(), WRAP, ""), "unknown x-amz-wrap-alg ");
    let cipher = "AES/CTR/NoPadding";
    assert_eq!(
        with(v2(), CONTENT_CIPHER, cipher),
        "unknown x-amz-cek-alg AES/CTR/NoPadding"
    );
    for code in ["2", "21", "022", " 02", "AES/GCM"] {
        let outcome = with(v3(), WRAP_V3, code);
        assert_eq!(outcome, format!("unknown x-amz-w {code}"));
    }
    for suite in ["114", "0115", "115 ", ""] {
        let outcome = with(v3(), SUITE_V3, suite);
        assert_eq!(outcome, format!("unknown x-amz-c {suite}"));
    }
    let long = "ä".repeat(1000);
    let outcome = with(v2(), WRAP, &long);
    assert_eq!(
        outcome,
        format!("unknown x-amz-wrap-alg {}", "ä".repeat(64))
    );
}

#[test]
fn a_tag_length_says_128_or_nothing() {
    for wrong in ["96", "0", "1280", "128 ", "0128", "+128"] {
        assert_eq!(with(v2(), TAG_LENGTH, wrong), "invalid x-amz-tag-len");
    }
    assert_eq!(with(v2(), TAG_LENGTH, ""), "missing x-amz-tag-len");
    assert_eq!(with(v2_cbc(), TAG_LENGTH, ""), "v2");
    assert_eq!(with(v2_cbc(), TAG_LENGTH, "0"), "v2");
    assert_eq!(with(v2_cbc(), TAG_LENGTH, "128"), "invalid x-amz-tag-len");
    let pkcs7 = "AES/CBC/PKCS7Padding";
    assert_eq!(with(v2_cbc(), CONTENT_CIPHER, pkcs7), "v2");
}

#[test]
fn keys_of_two_formats_are_refused() {
    for (object, one) in [(v1(), KEY_V1), (v2(), KEY_V2)] {
        for other in names::V3 {
            let outcome = with(object.clone(), other, "x");
            assert_eq!(outcome, format!("mixed {one} {other}"));
        }
    }
    for one in names::V1_OR_V2 {
        let outcome = with(v3(), one, "x");
        let other = if names::KEYS.contains(&one) {
            KEY_V3
        } else {
            SUITE_V3
        };
        assert_eq!(outcome, format!("mixed {one} {other}"));
    }
    for other in names::V2_ONLY {
        let outcome = with(v1(), other, "x");
        assert_eq!(outcome, format!("mixed x-amz-key {other}"));
    }
    // Whatever the case of the letters.
    assert_eq!(with(v2(), "X-Amz-C", "115"), "mixed x-amz-key-v2 x-amz-c");
    assert_eq!(with(v2(), "X-AMZ-IV", &of_length(12)), "invalid x-amz-iv");
}

#[test]
fn keys_are_compared_without_case() {
    for object in [v1(), v2(), v2_cbc(), v3()] {
        let plain = read(&object, None).unwrap();
        let object: Pairs = object
            .into_iter()
            .map(|(name, value)| (name.to_ascii_uppercase(), value))
            .collect();
        assert_eq!(read(&object, None).unwrap(), plain);
    }
}

#[test]
fn empty_optional_values_are_absent() {
    for (object, name) in [
        (v2(), DESCRIPTION),
        (v2(), PLAINTEXT_LENGTH),
        (v2(), CONTEXT_V3),
        (v3(), CONTEXT_V3),
        (v3(), DESCRIPTION_V3),
        (v3(), PLAINTEXT_LENGTH),
        (v3(), DESCRIPTION),
        (v3(), TAG_LENGTH),
    ] {
        let mut emptied = object.clone();
        set(&mut emptied, name, "");
        let mut without = object;
        without.retain(|(found, _)| found != name);
        assert_eq!(
            read(&emptied, None).unwrap(),
            read(&without, None).unwrap(),
            "{name}"
        );
    }
    assert_eq!(with(v1(), DESCRIPTION, ""), "missing x-amz-matdesc");
    // One that is needed is not absent, it is wrong.
    assert_eq!(with(v2(), SUITE_V3, ""), "mixed x-amz-key-v2 x-amz-c");
}

#[test]
fn a_description_is_an_object_of_strings() {
    for wrong in [
        "null",
        "[]",
        "\"a\"",
        "{",
        "{}x",
        "\u{feff}{}",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"a\":{}}",
        "{\"a\":[\"b\"]}",
        "{\"a\":\"b\",\"a\":\"b\"}",
        "{\"a\":\"b\",\"\\u0061\":\"c\"}",
        "{\"a\":\"\\ud800\"}",
        "=?UTF-8?Q?=E9?=",
    ] {
        assert_eq!(with(v1(), DESCRIPTION, wrong), "invalid x-amz-matdesc");
        assert_eq!(with(v2(), DESCRIPTION, wrong), "invalid x-amz-matdesc");
        assert_eq!(with(v3(), DESCRIPTION_V3, wrong), "invalid x-amz-m");
    }
    let deep = "[".repeat(60_000);
    assert_eq!(with(v2(), DESCRIPTION, &deep), "invalid x-amz-matdesc");
    let deep = format!("{{\"a\":{deep}");
    assert_eq!(with(v2(), DESCRIPTION, &deep), "invalid x-amz-matdesc");
    let long = format!("{{\"a\":\"{}\"}}", "b".repeat(MAXIMUM_LENGTH - 8));
    assert_eq!(with(v2(), DESCRIPTION, &long), "v2");
    let long = format!(" {long}");
    assert_eq!(with(v2(), DESCRIPTION, &long), "invalid x-amz-matdesc");
}

#[test]
fn v3_reads_the_description_of_its_wrap() {
    let (context, description) = ("{\"t\":\"1\"}", "{\"m\":\"1\"}");
    for (code, length, kept) in [("12", 184, "t"), ("02", 60, "m"), ("22", 256, "m")] {
        let mut object = v3();
        set(&mut object, WRAP_V3, code);
        set(&mut object, KEY_V3, &of_length(length));
        set(&mut object, CONTEXT_V3, context);
        set(&mut object, DESCRIPTION_V3, description);
        let envelope = read(&object, None).unwrap();
        let expected = BTreeMap::from([(kept.to_owned(), "1".to_owned())]);
        assert_eq!(envelope.description, expected);
    }
}

#[test]
fn a_claimed_length_is_a_number() {
    for (text, length) in [("0", 0), ("18446744073709551615", u64::MAX)] {
        let mut object = v2();
        set(&mut object, PLAINTEXT_LENGTH, text);
        assert_eq!(read(&object, None).unwrap().plaintext_length, Some(length));
    }
    for wrong in ["-1", "+1", "1.0", "18446744073709551616", "x", " 1"] {
        let outcome = with(v2(), PLAINTEXT_LENGTH, wrong);
        assert_eq!(outcome, format!("invalid {PLAINTEXT_LENGTH}"));
    }
    // V3 has none, whatever is there.
    let mut object = v3();
    set(&mut object, PLAINTEXT_LENGTH, "5");
    assert_eq!(read(&object, None).unwrap().plaintext_length, None);
}

#[test]
fn an_object_is_whole_or_its_keys_are_elsewhere() {
    for name in [KEY_V3, COMMITMENT_V3, MESSAGE_ID_V3, SUITE_V3, WRAP_V3] {
        let mut object = v3();
        object.retain(|(found, _)| found != name);
        assert_eq!(outcome(&read(&object, None)), format!("missing {name}"));
    }
    for (missing, pairs) in [
        (SUITE_V3, vec![(COMMITMENT_V3, "x")]),
        (COMMITMENT_V3, vec![(SUITE_V3, "115")]),
        (SUITE_V3, vec![(CONTEXT_V3, "{}")]),
        (KEY_V2, vec![(IV, "x")]),
        (KEY_V2, vec![(WRAP, "x")]),
        (KEY_V2, vec![(CONTENT_CIPHER, "x")]),
        (KEY_V2, vec![(DESCRIPTION, "{}")]),
    ] {
        let outcome = with_file(&owned(&pairs), "{}");
        assert_eq!(outcome, format!("missing {missing}"));
    }
    for name in [KEY_V2, IV, CONTENT_CIPHER, WRAP] {
        let mut file = v2();
        file.retain(|(found, _)| found != name);
        let text = self::file(&file, "");
        assert_eq!(with_file(&Vec::new(), &text), format!("missing {name}"));
    }
    for name in [KEY_V3, WRAP_V3] {
        let mut file = v3_file();
        file.retain(|(found, _)| found != name);
        let text = self::file(&file, "");
        assert_eq!(with_file(&v3_object(), &text), format!("missing {name}"));
    }
}

#[test]
fn an_instruction_file_is_an_object_of_strings() {
    for wrong in [
        "",
        "not JSON",
        "null",
        "[]",
        "\u{feff}{}",
        "{}{}",
        "{\"a\":{}}",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"a\":true}",
        "{\"a\":\"b\",\"a\":\"b\"}",
        "{\"x-amz-key-v2\":1}",
        "{\"x-amz-key-v2\":null}",
        "{\"x-amz-tag-len\":-1}",
        "{\"x-amz-tag-len\":1.5}",
        "{\"x-amz-new\":\"b\"}",
        "{\"X-Amz-New\":\"b\"}",
    ] {
        assert_eq!(with_file(&Vec::new(), wrong), "file not valid", "{wrong}");
        assert_eq!(with_file(&v3_object(), wrong), "file not valid", "{wrong}");
    }
    let nested = format!("{{\"a\":{}", "[".repeat(60_000));
    assert_eq!(with_file(&Vec::new(), &nested), "file not valid");

    let text = file(&v2(), "");
    let padding = " ".repeat(MAXIMUM_LENGTH - text.len());
    assert_eq!(with_file(&Vec::new(), &format!("{text}{padding}")), "v2");
    let long = format!("{text}{padding} ");
    assert_eq!(with_file(&Vec::new(), &long), "file not valid");
}

#[test]
fn what_old_clients_wrote_into_files_is_read() {
    for (more, length) in [
        (",\"color\":\"blue\"", None),
        (",\"x-amz-unencrypted-content-length\":\"5\"", Some(5)),
        (",\"x-amz-unencrypted-content-length\":5", Some(5)),
        (",\"x-amz-crypto-instr-file\":\"\"", None),
        (",\"x-amz-unencrypted-content-md5\":\"x\"", None),
        (",\"x-amz-m\":null", None),
    ] {
        let text = file(&v2(), more);
        let envelope = read(&Vec::new(), Some(text.as_bytes())).unwrap();
        assert_eq!(envelope.plaintext_length, length, "{more}");
    }
    let text = file(&v2(), "").replace("\"128\"", "128");
    assert_eq!(with_file(&Vec::new(), &text), "v2");
    let text = file(&v2(), "").replace("\"128\"", "96");
    assert_eq!(with_file(&Vec::new(), &text), "invalid x-amz-tag-len");
    let text = file(&v2_cbc(), "").replace("\"x-amz-tag-len\":\"\"", "\"x-amz-tag-len\":0");
    assert_eq!(with_file(&Vec::new(), &text), "v2");

    let mut file_of_v3 = v3_file();
    file_of_v3.retain(|(name, _)| name != DESCRIPTION_V3);
    let text = file(&file_of_v3, ",\"x-amz-m\":null");
    assert_eq!(with_file(&v3_object(), &text), "v3");
    // The object's claim counts when the file has none.
    let object = owned(&[(PLAINTEXT_LENGTH, "6")]);
    let text = file(&v2(), "");
    let envelope = read(&object, Some(text.as_bytes())).unwrap();
    assert_eq!(envelope.plaintext_length, Some(6));
}

#[test]
fn text_in_files_is_not_encoded_twice() {
    let mut pairs = v2();
    set(&mut pairs, DESCRIPTION, "{\"a\":\"Ã©\"}");
    let envelope = read(&Vec::new(), Some(file(&pairs, "").as_bytes())).unwrap();
    assert_eq!(envelope.description["a"], "Ã©");
    assert_eq!(read(&pairs, None).unwrap().description["a"], "é");
}

#[test]
fn a_file_of_another_format_is_refused() {
    for key in names::V3_ON_OBJECT {
        let more = format!(",\"{key}\":\"x\"");
        for (object, pairs) in [(v3_object(), v3_file()), (Vec::new(), v2())] {
            let text = file(&pairs, &more);
            assert_eq!(with_file(&object, &text), format!("in file {key}"));
        }
    }
    for key in names::V1_OR_V2 {
        let text = format!("{{\"{key}\":\"x\"}}");
        let outcome = with_file(&v3_object(), &text);
        assert_eq!(outcome, format!("mixed x-amz-c {key}"));
    }
    let text = file(&v1(), "");
    assert_eq!(with_file(&v3_object(), &text), "mixed x-amz-c x-amz-key");
    let text = file(&v3_file(), "");
    assert_eq!(with_file(&Vec::new(), &text), "missing x-amz-c");
    let text = file(&v2(), ",\"x-amz-w\":\"02\"");
    assert_eq!(with_file(&Vec::new(), &text), "mixed x-amz-key-v2 x-amz-w");
    let text = file(&v2(), ",\"x-amz-key\":\"x\"");
    let expected = "mixed x-amz-key x-amz-key-v2";
    assert_eq!(with_file(&Vec::new(), &text), expected);
}

#[test]
fn errors_have_classes_and_show_no_keys() {
    for (error, class) in [
        (with_error(v2(), SUITE_V3, "115"), ErrorClass::Security),
        (with_error(v2(), WRAP, "AES"), ErrorClass::Format),
        (with_error(v2(), KEY_V2, &of_length(59)), ErrorClass::Format),
        (with_error(v2(), KEY_V2, "BwcHBw"), ErrorClass::Format),
    ] {
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains("BwcH"), "{error}");
    }
    let text = file(&v3_file(), ",\"x-amz-d\":\"BwcHBw==\"");
    let error = read(&v3_object(), Some(text.as_bytes())).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Security);
    let text = file(&v2(), "").replace(':', ";");
    let error = read(&Vec::new(), Some(text.as_bytes())).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Format);
    assert!(!error.to_string().contains("BwcH"), "{error}");
}

fn with_error(mut pairs: Pairs, name: &str, value: &str) -> Error {
    set(&mut pairs, name, value);
    read(&pairs, None).unwrap_err()
}
