//! Fills databases of MongoDB fast, past the programs that they belong to. Each of these leaves out the last message of a chat: that is
//! to be sent in the usual way, which also makes up for what else a program keeps of a chat.

use chat_functions::domain::{ChatId, UserId};
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, Uuid, doc};

use crate::seed::{CONTENT, sent_at};

/// The messages of a chat as the product keeps them: a document each.
pub async fn documents(database: &Database, [one, other]: [UserId; 2], messages: u32) {
    let chat = ChatId::between(one, other).expect("two people").to_bytes().to_vec();
    let chat = Binary { subtype: BinarySubtype::Generic, bytes: chat };
    let key = |user: UserId| Uuid::from_bytes(user.to_bytes());
    let documents = (1..messages).map(|seq| {
        let (sender, recipient) = if seq % 2 == 0 { (one, other) } else { (other, one) };
        doc! {
            "_id": { "chat": chat.clone(), "seq": i64::from(seq) },
            "sender": key(sender),
            "recipient": key(recipient),
            "content": CONTENT,
            "sentAt": DateTime::from_millis(sent_at(seq.into()).as_millis()),
        }
    });
    database.collection::<Document>("messages").insert_many(documents).await.expect("inserted");
}

/// The messages of a chat as the original keeps them: in an array of the document of either person.
pub async fn arrays(database: &Database, [one, other]: [ObjectId; 2], messages: u32) {
    let elements: Vec<Document> = (1..messages)
        .map(|seq| {
            let (sender, recipient) = if seq % 2 == 0 { (one, other) } else { (other, one) };
            let timestamp = DateTime::from_millis(sent_at(seq.into()).as_millis());
            doc! {
                "senderId": sender.to_hex(),
                "recipientId": recipient.to_hex(),
                "content": CONTENT,
                "timestamp": timestamp.try_to_rfc3339_string().expect("a time"),
            }
        })
        .collect();
    let fill = doc! { "$push": { "messages": { "$each": elements } } };
    let filled = database.collection::<Document>("users").update_many(doc! { "_id": { "$in": [one, other] } }, fill).await;
    assert_eq!(filled.expect("updated").modified_count, 2);
}
