use proptest::prelude::*;

use super::*;

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0_usize..70, 0_usize..40_000]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![0_usize..40, 0_usize..9000], 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn how_input_is_cut_never_shows(length in lengths(), sizes in sizes()) {
        let plaintext = plaintext(length);
        let object = seal_at_once(encryptor(1), &plaintext);
        prop_assert_eq!(&run(encryptor(1), &plaintext, &sizes).unwrap(), &object);
        let body = || Box::new(GcmBody::new(key()));
        prop_assert_eq!(&body().open_at_once(object.clone()).unwrap(), &plaintext);
        prop_assert_eq!(&verify_and_open(body(), &object, &sizes).unwrap(), &plaintext);
        let delayed = Box::new(GcmDelayed::new(&key()).unwrap());
        prop_assert_eq!(&run(delayed, &object, &sizes).unwrap(), &plaintext);
    }

    #[test]
    fn how_cbc_is_cut_never_shows(length in lengths(), sizes in sizes()) {
        let plaintext = plaintext(length);
        let object = seal_cbc(&plaintext);
        let body = || Box::new(CbcBody::new(cbc_key()));
        prop_assert_eq!(&body().open_at_once(object.clone()).unwrap(), &plaintext);
        prop_assert_eq!(&verify_and_open(body(), &object, &sizes).unwrap(), &plaintext);
        prop_assert_eq!(
            length_by_range(&CbcRanges::new(cbc_key()), &object).unwrap(),
            length as u64
        );
        #[cfg(feature = "legacy-v1-write")]
        {
            let encryptor = Box::new(CbcEncryptor::new(&cbc_key()).unwrap());
            prop_assert_eq!(&run(encryptor, &plaintext, &sizes).unwrap(), &object);
        }
    }

    #[test]
    fn ranges_are_slices(
        length in lengths(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), sizes in sizes(),
    ) {
        let plaintext = plaintext(length);
        let (a, b) = (a.index(length + 1), b.index(length + 1));
        let (start, end) = (a.min(b), a.max(b));
        let objects: [(Vec<u8>, Box<dyn Ranges>); 2] = [
            (seal_at_once(encryptor(1), &plaintext), Box::new(GcmRanges::new(key()))),
            (seal_cbc(&plaintext), Box::new(CbcRanges::new(cbc_key()))),
        ];
        for (object, ranges) in objects {
            let range = start as u64..end as u64;
            let found = read_range(ranges.as_ref(), &object, range, &sizes).unwrap();
            prop_assert_eq!(found, &plaintext[start..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Inputs above half a mebibyte for each thread are cut into segments.
    #[test]
    fn threads_never_show(
        before in 0_usize..100, length in (1_usize << 20)..(5 << 19), after in 0_usize..(1 << 20),
    ) {
        let plaintext = plaintext(before + length + after);
        let object = seal_at_once(encryptor(1), &plaintext);
        for threads in 1..=4 {
            let sizes = [before, length, after];
            prop_assert!(run(encryptor(threads), &plaintext, &sizes).unwrap() == object);
        }
    }
}
