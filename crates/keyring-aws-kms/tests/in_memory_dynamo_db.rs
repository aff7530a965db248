//! The DynamoDB in memory is as DynamoDB is: seen through clients of the SDK.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, Delete, KeyType, ReturnValue, ScalarAttributeType,
    TableStatus, TransactWriteItem,
};
use envelope_aws_kms::KmsError;
use envelope_aws_kms::test_util::Fault;
use support::dynamo_db::{
    PARTITION, REGION, SORT, TABLE, check, code, create, item, key, new, put, text, transact,
    with_table,
};

#[tokio::test]
async fn items_come_back_as_they_were_put() {
    let (dynamo_db, client) = with_table().await;
    let mut stored = key("acme", "branch:ACTIVE");
    let values = [
        ("enc", AttributeValue::B(Blob::new([0, 1, 254, 255]))),
        ("hierarchy-version", AttributeValue::N("1".to_owned())),
        ("flag", AttributeValue::Bool(true)),
        ("nothing", AttributeValue::Null(true)),
        ("empty", text("")),
        (
            "list",
            AttributeValue::L(vec![text("é\"\\\n"), AttributeValue::Bool(false)]),
        ),
        ("map", AttributeValue::M(item([("a", "b")]))),
    ];
    stored.extend(values.map(|(name, value)| (name.to_owned(), value)));
    let request = client.put_item().table_name(TABLE);
    request.set_item(Some(stored.clone())).send().await.unwrap();
    let read = |partition: &str, sort: &str| {
        let request = client.get_item().table_name(TABLE).consistent_read(true);
        request.set_key(Some(key(partition, sort))).send()
    };
    let answer = read("acme", "branch:ACTIVE").await.unwrap();
    assert_eq!(answer.item.as_ref(), Some(&stored));
    for (partition, sort) in [("acme", "branch:ACTIV"), ("acm", "branch:ACTIVE")] {
        assert_eq!(read(partition, sort).await.unwrap().item, None);
        assert_eq!(dynamo_db.item(TABLE, partition, sort), None);
    }
    // Past the client, both ways.
    let found = dynamo_db.item(TABLE, "acme", "branch:ACTIVE");
    assert_eq!(found.as_ref(), Some(&stored));
    stored.insert("enc".to_owned(), AttributeValue::B(Blob::new([7])));
    dynamo_db.put_item(TABLE, stored.clone()).unwrap();
    let answer = read("acme", "branch:ACTIVE").await.unwrap();
    assert_eq!(answer.item.as_ref(), Some(&stored));
    let removed = dynamo_db.remove_item(TABLE, "acme", "branch:ACTIVE");
    assert_eq!(removed, Some(stored));
    let answer = read("acme", "branch:ACTIVE").await.unwrap();
    assert_eq!(answer.item, None);
    assert_eq!(dynamo_db.remove_item(TABLE, "acme", "branch:ACTIVE"), None);
}

#[tokio::test]
async fn what_a_table_cannot_keep_is_refused() {
    let (dynamo_db, client) = with_table().await;
    let with = |name: &str, value: AttributeValue| {
        let mut item = key("acme", "a");
        item.insert(name.to_owned(), value);
        item
    };
    let number = |text: &str| AttributeValue::N(text.to_owned());
    let refused = [
        item([(PARTITION, "acme")]),
        item([(SORT, "a")]),
        key("", "a"),
        key("acme", ""),
        key(&"p".repeat(2049), "a"),
        key("acme", &"s".repeat(1025)),
        with(SORT, number("1")),
        with("n", number("1.0")),
        with("n", number("01")),
        with("n", number("one")),
        with("s", AttributeValue::Ss(vec!["a".to_owned()])),
        with("x", AttributeValue::Null(false)),
        with("l", AttributeValue::L(vec![number("-0")])),
    ];
    for item in refused {
        let request = client.put_item().table_name(TABLE);
        let answer = request.set_item(Some(item.clone())).send().await;
        assert_eq!(code(answer), "ValidationException", "{item:?}");
        let error = dynamo_db.put_item(TABLE, item).unwrap_err();
        assert!(
            matches!(
                error,
                KmsError::InvalidOption {
                    what: "the item",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    dynamo_db
        .put_item(TABLE, key(&"p".repeat(2048), &"s".repeat(1024)))
        .unwrap();
    for key in [
        item([(PARTITION, "acme")]),
        item([(PARTITION, "acme"), (SORT, "a"), ("enc", "b")]),
    ] {
        let request = client.get_item().table_name(TABLE).set_key(Some(key));
        assert_eq!(code(request.send().await), "ValidationException");
    }
    // What would change the answer is refused, not ignored.
    let request = client.put_item().table_name(TABLE);
    let request = request.set_item(Some(key("acme", "a")));
    let answer = request.return_values(ReturnValue::AllOld).send().await;
    assert_eq!(code(answer), "ValidationException");
    let request = client.get_item().table_name(TABLE);
    let request = request.set_key(Some(key("acme", "a")));
    let answer = request.projection_expression("enc").send().await;
    assert_eq!(code(answer), "ValidationException");
    assert_eq!(dynamo_db.item(TABLE, "acme", "a"), None);
}

#[tokio::test]
async fn tables_are_made_once_and_described() {
    let (dynamo_db, client) = with_table().await;
    let table = client.describe_table().table_name(TABLE).send().await;
    let table = table.unwrap().table.unwrap();
    assert_eq!(table.table_name(), Some(TABLE));
    assert_eq!(table.table_status(), Some(&TableStatus::Active));
    let schema = table.key_schema().iter();
    let schema = schema
        .map(|element| (element.attribute_name(), element.key_type().clone()))
        .collect::<Vec<_>>();
    assert_eq!(schema, [(PARTITION, KeyType::Hash), (SORT, KeyType::Range)]);

    let hash = [("id", KeyType::Hash)];
    let again = create(&client, TABLE, &hash).send().await;
    assert_eq!(code(again), "ResourceInUseException");
    for (name, keys) in [
        ("ab", &hash[..]),
        ("a/b", &hash),
        ("other", &[("id", KeyType::Range)]),
        ("other", &[("id", KeyType::Hash), ("id", KeyType::Range)]),
        ("other", &[("id", KeyType::Hash), ("no", KeyType::Hash)]),
    ] {
        let answer = create(&client, name, keys).send().await;
        assert_eq!(code(answer), "ValidationException", "{name} {keys:?}");
    }
    let number = AttributeDefinition::builder().attribute_name("n");
    let number = number.attribute_type(ScalarAttributeType::N).build();
    let answer = create(&client, "other", &hash).attribute_definitions(number.unwrap());
    assert_eq!(code(answer.send().await), "ValidationException");

    // A table without a sort key, seen from another region.
    create(&client, "other", &hash).send().await.unwrap();
    let elsewhere = dynamo_db.client("us-east-1");
    let request = elsewhere.put_item().table_name("other");
    request.item("id", text("a")).send().await.unwrap();
    let request = client.get_item().table_name("other");
    let answer = request.key("id", text("a")).send().await.unwrap();
    assert_eq!(answer.item, Some(item([("id", "a")])));
    assert_eq!(dynamo_db.item("other", "a", ""), answer.item);

    let missing = "ResourceNotFoundException";
    let request = client.describe_table().table_name("none");
    assert_eq!(code(request.send().await), missing);
    let request = client.get_item().table_name("none").key("id", text("a"));
    assert_eq!(code(request.send().await), missing);
    let request = client.put_item().table_name("none").item("id", text("a"));
    assert_eq!(code(request.send().await), missing);
    let request = query(&client, "id = :id").table_name("none");
    let request = request.expression_attribute_values(":id", text("a"));
    assert_eq!(code(request.send().await), missing);
    let put = put(key("a", "b")).table_name("none").build().unwrap();
    let action = TransactWriteItem::builder().put(put).build();
    assert_eq!(
        transact(&client, vec![action]).await,
        Err(vec![missing.to_owned()])
    );
    let error = dynamo_db.put_item("none", key("a", "b")).unwrap_err();
    assert!(
        matches!(
            error,
            KmsError::InvalidOption {
                what: "the item",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(dynamo_db.item("none", "a", "b"), None);
}

fn query(client: &Client, expression: &str) -> QueryFluentBuilder {
    let request = client.query().table_name(TABLE);
    request.key_condition_expression(expression)
}

#[tokio::test]
async fn a_query_is_of_one_partition_in_the_order_of_sort_keys() {
    let (dynamo_db, client) = with_table().await;
    let sorts = [
        "branch:version:b",
        "branch:version:a",
        "branch:ACTIVE",
        "beacon:ACTIVE",
    ];
    for sort in sorts {
        dynamo_db.put_item(TABLE, key("acme", sort)).unwrap();
        dynamo_db.put_item(TABLE, key("other", sort)).unwrap();
    }
    let found = async |expression: &str, beginning: Option<&str>| {
        let mut request = query(&client, expression)
            .expression_attribute_names("#id", PARTITION)
            .expression_attribute_values(":id", text("acme"));
        if let Some(beginning) = beginning {
            request = request
                .expression_attribute_names("#type", SORT)
                .expression_attribute_values(":beginning", text(beginning));
        }
        let answer = request
            .send()
            .await
            .map_err(|error| code::<(), _, _>(Err(error)))?;
        assert_eq!(answer.count(), i32::try_from(answer.items().len()).unwrap());
        let items = answer.items().iter();
        Ok::<_, String>(
            items
                .map(|item| {
                    assert_eq!(item[PARTITION], text("acme"));
                    item[SORT].as_s().unwrap().clone()
                })
                .collect::<Vec<_>>(),
        )
    };
    let mut all = sorts;
    all.sort_unstable();
    assert_eq!(found("#id = :id", None).await.unwrap(), all);
    let versions = ["branch:version:a", "branch:version:b"];
    for expression in [
        "#id = :id AND begins_with(#type, :beginning)",
        " begins_with ( #type,:beginning ) and #id=:id ",
    ] {
        let versions_found = found(expression, Some("branch:version:")).await;
        assert_eq!(versions_found.unwrap(), versions, "{expression}");
    }
    let expression = "#id = :id AND #type = :beginning";
    let one = found(expression, Some("branch:ACTIVE")).await;
    assert_eq!(one.unwrap(), ["branch:ACTIVE"]);
    let none = found(expression, Some("branch:version:")).await;
    assert_eq!(none.unwrap(), [""; 0]);
    for expression in [
        "#type = :beginning AND #id = :id AND #id = :id",
        "#id = :id AND #id = :beginning AND #type = :id",
        "begins_with(#id, :id) AND #type = :beginning",
        "#id = :id AND attribute_exists(#type)",
        "#id = :id OR #type = :beginning",
        "#id = :id AND #type > :beginning",
        "#id = :id AND #type",
        "#id = :id AND begins_with(#type, :beginning",
        "",
    ] {
        let refused = found(expression, Some("b")).await;
        assert_eq!(
            refused,
            Err("ValidationException".to_owned()),
            "{expression}"
        );
    }
    let request = query(&client, "type = :type").expression_attribute_values(":type", text("b"));
    assert_eq!(code(request.send().await), "ValidationException");
    let request = query(&client, "#id = :id")
        .expression_attribute_names("#id", PARTITION)
        .expression_attribute_values(":id", text("acme"));
    let refused = request.limit(1).send().await;
    assert_eq!(code(refused), "ValidationException");
}

#[tokio::test]
async fn conditions_decide_what_is_put() {
    let (dynamo_db, client) = with_table().await;
    let put = async |expression: &str, value: &str| {
        let mut item = key("acme", "a");
        item.insert("enc".to_owned(), text(value));
        let mut request = client.put_item().table_name(TABLE).set_item(Some(item));
        request = request.condition_expression(expression);
        if expression.contains("#id") {
            request = request.expression_attribute_names("#id", PARTITION);
        }
        if expression.contains(":old") {
            request = request.expression_attribute_values(":old", text("1"));
        }
        match request.send().await {
            Ok(_) => Ok(()),
            error => Err(code(error)),
        }
    };
    let failed = Err("ConditionalCheckFailedException".to_owned());
    let enc = || {
        dynamo_db
            .item(TABLE, "acme", "a")
            .map(|item| item["enc"].clone())
    };
    for expression in ["attribute_exists(#id)", "enc = :old"] {
        assert_eq!(put(expression, "0").await, failed, "{expression}");
        assert_eq!(enc(), None);
    }
    assert_eq!(put("attribute_not_exists(#id)", "1").await, Ok(()));
    assert_eq!(put("attribute_not_exists(#id)", "2").await, failed);
    assert_eq!(enc(), Some(text("1")));
    let unchanged = "attribute_exists(#id) AND enc = :old";
    assert_eq!(put(unchanged, "2").await, Ok(()));
    assert_eq!(put(unchanged, "3").await, failed);
    assert_eq!(put("attribute_not_exists(other)", "2").await, Ok(()));
    assert_eq!(enc(), Some(text("2")));
    let invalid = Err("ValidationException".to_owned());
    for expression in [
        "",
        "attribute_exists(branch-key-id)",
        "attribute_exists(#other)",
        "attribute_exists(:old)",
        "attribute_exists(#id) OR enc = :old",
        "attribute_exists(#id) enc = :old",
        "attribute_exists(#id) AND",
        "NOT attribute_exists(#id)",
        "(attribute_exists(#id))",
        "attribute_exists #id",
        "attribute_type(#id, :old)",
        "enc <> :old",
        "enc = :other",
        "enc = #id",
        ":old = enc",
        "enc = 1",
        "1enc = :old",
    ] {
        assert_eq!(put(expression, "4").await, invalid, "{expression}");
    }
    // Nor are there names and values that nothing uses.
    for request in [
        client
            .put_item()
            .expression_attribute_names("#id", PARTITION),
        client
            .put_item()
            .expression_attribute_values(":old", text("1")),
    ] {
        let request = request.table_name(TABLE).set_item(Some(key("acme", "a")));
        assert_eq!(code(request.send().await), "ValidationException");
    }
    assert_eq!(enc(), Some(text("2")));
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let (dynamo_db, client) = with_table().await;
    let pair = || vec![new(key("acme", "a")), new(key("acme", "b"))];
    assert_eq!(transact(&client, pair()).await, Ok(()));
    let codes = |codes: &[&str]| Err(codes.iter().map(|code| (*code).to_owned()).collect());
    let failed = "ConditionalCheckFailed";
    assert_eq!(transact(&client, pair()).await, codes(&[failed, failed]));
    let mixed = vec![new(key("acme", "c")), new(key("acme", "b"))];
    assert_eq!(transact(&client, mixed).await, codes(&["None", failed]));
    assert_eq!(dynamo_db.item(TABLE, "acme", "c"), None);
    // A condition on another item.
    let mut versioned = key("acme", "a");
    versioned.insert("version".to_owned(), text("1"));
    dynamo_db.put_item(TABLE, versioned.clone()).unwrap();
    let checked = |value| {
        let condition = check(key("acme", "a"), "version = :value", value);
        vec![new(key("acme", "c")), condition]
    };
    assert_eq!(
        transact(&client, checked("2")).await,
        codes(&["None", failed])
    );
    assert_eq!(dynamo_db.item(TABLE, "acme", "c"), None);
    assert_eq!(transact(&client, checked("1")).await, Ok(()));
    assert_eq!(dynamo_db.item(TABLE, "acme", "c"), Some(key("acme", "c")));
    assert_eq!(dynamo_db.item(TABLE, "acme", "a"), Some(versioned));

    let delete = Delete::builder().table_name(TABLE);
    let delete = delete.set_key(Some(key("acme", "a"))).build().unwrap();
    let many = (0..101).map(|number| new(key("many", &number.to_string())));
    for actions in [
        vec![],
        many.collect(),
        vec![new(key("acme", "d")), new(key("acme", "d"))],
        vec![TransactWriteItem::builder().delete(delete).build()],
        vec![TransactWriteItem::builder().build()],
        vec![
            new(key("acme", "d")),
            check(key("acme", "a"), "version > :value", "0"),
        ],
        vec![
            new(key("acme", "d")),
            check(item([(SORT, "a")]), "version = :value", "1"),
        ],
    ] {
        let found = transact(&client, actions).await;
        assert_eq!(found, codes(&["ValidationException"]));
    }
    assert_eq!(dynamo_db.item(TABLE, "acme", "d"), None);
    assert_eq!(dynamo_db.item(TABLE, "many", "0"), None);
}

#[tokio::test]
async fn a_transaction_is_not_done_twice_under_one_token() {
    let (dynamo_db, client) = with_table().await;
    let request = |sort: &str| {
        let request = client.transact_write_items().client_request_token("once");
        request.transact_items(new(key("acme", sort)))
    };
    request("a").send().await.unwrap();
    dynamo_db.remove_item(TABLE, "acme", "a").unwrap();
    request("a").send().await.unwrap();
    assert_eq!(dynamo_db.item(TABLE, "acme", "a"), None);
    let refused = request("b").send().await;
    assert_eq!(code(refused), "IdempotentParameterMismatchException");
}

#[tokio::test]
async fn of_racing_writers_one_wins() {
    let (_, client) = with_table().await;
    let writers = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { transact(&client, vec![new(key("acme", "a"))]).await })
    });
    let writers: Vec<_> = writers.collect();
    let mut won = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(()) => won += 1,
            Err(codes) => assert_eq!(codes, ["ConditionalCheckFailed"]),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test(start_paused = true)]
async fn faults_are_tried_again_and_given_up() {
    let (dynamo_db, _) = with_table().await;
    dynamo_db.put_item(TABLE, key("acme", "a")).unwrap();
    let retries = RetryConfig::standard().with_max_attempts(3);
    let config = dynamo_db.config(REGION).retry_config(retries);
    let client = Client::from_conf(config.build());
    let read = || {
        let request = client.get_item().table_name(TABLE);
        request.set_key(Some(key("acme", "a"))).send()
    };
    for (fault, code) in [
        (
            Fault::Throttled,
            Some("ProvisionedThroughputExceededException"),
        ),
        (Fault::InternalError, Some("InternalServerError")),
        (Fault::Unavailable, None),
        (Fault::ConnectionReset, None),
    ] {
        let calls = dynamo_db.calls("GetItem");
        dynamo_db.fail_next(2, fault);
        assert!(read().await.unwrap().item.is_some());
        assert_eq!(dynamo_db.calls("GetItem"), calls + 3, "{fault:?}");
        dynamo_db.fail_next(u64::MAX, fault);
        let error = read().await.unwrap_err();
        assert_eq!(error.code(), code, "{fault:?}");
        assert_eq!(
            matches!(error, SdkError::DispatchFailure(_)),
            fault == Fault::ConnectionReset
        );
        assert_eq!(dynamo_db.calls("GetItem"), calls + 6, "{fault:?}");
        dynamo_db.recover();
    }
}

#[tokio::test(start_paused = true)]
async fn latency_and_refusals_last_until_recovery() {
    let (dynamo_db, client) = with_table().await;
    dynamo_db.put_item(TABLE, key("acme", "a")).unwrap();
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(5));
    let config = dynamo_db.config(REGION).timeout_config(timeouts.build());
    let impatient = Client::from_conf(config.build());
    let read = |client: &Client| {
        let request = client.get_item().table_name(TABLE);
        request.set_key(Some(key("acme", "a"))).send()
    };
    dynamo_db.set_latency(Duration::from_secs(60));
    let error = read(&impatient).await.unwrap_err();
    assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
    assert!(read(&client).await.is_ok());
    dynamo_db.deny("GetItem");
    dynamo_db.set_latency(Duration::ZERO);
    let calls = dynamo_db.total_calls();
    assert_eq!(code(read(&client).await), "AccessDeniedException");
    // Trying again cannot help.
    assert_eq!(dynamo_db.total_calls(), calls + 1);
    dynamo_db.recover();
    assert!(read(&impatient).await.is_ok());
}

#[tokio::test]
async fn requests_are_told_apart() {
    let (dynamo_db, client) = with_table().await;
    let answer = client.describe_table().table_name(TABLE).send().await;
    assert_eq!(answer.unwrap().request_id(), Some("in-memory-2"));
    assert_eq!(
        code(client.list_tables().send().await),
        "UnknownOperationException"
    );
    assert_eq!(dynamo_db.total_calls(), 3);
    assert_eq!(dynamo_db.clone().calls("CreateTable"), 1);
    let text = format!("{dynamo_db:?}");
    assert!(
        text.contains(TABLE) && text.contains("ListTables"),
        "{text}"
    );
}
