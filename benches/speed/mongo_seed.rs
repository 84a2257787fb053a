//! Fills databases of MongoDB fast, past the programs that they belong to. Each of these leaves out the last message of a chat: that is
//! to be sent in the usual way, which also makes up for what else a program keeps of a chat.

use chat_functions::domain::{ChatId, UserId};
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};

use crate::seed::mongodb::document_of;
use crate::seed::{CONTENT, Chat, sent_at};

/// The messages of a chat as the product keeps them: a document each.
pub async fn documents(database: &Database, [one, other]: [UserId; 2], messages: u32) {
    let id = ChatId::between(one, other).expect("two people");
    let chat = Chat { id, messages: messages.into(), last: messages.into() };
    let but_the_last = usize::try_from(messages - 1).expect("few");
    let documents = chat.messages().take(but_the_last).map(|message| document_of(&message));
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
