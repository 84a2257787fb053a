//! What the product asks of a store for a request, for those parts that go without HTTP.

use chat_functions::domain::{ChatId, ClientId, Clock, MessageText, SessionKey, UserId};
use chat_functions::http::OwnUser;
use chat_functions::store::{Append, NewMessage, Store};

use crate::seed::CONTENT;

/// Sends a message that nobody has sent before, to somebody who takes it.
pub async fn send(store: &dyn Store, sender: &SessionKey, recipient: UserId) {
    let chat = ChatId::between(sender.user, recipient).expect("two people");
    let looks = futures_util::try_join!(store.find_peer(sender, recipient), store.find_chat_head(chat));
    let (found, head) = looks.expect("an answer");
    assert!(found.is_some_and(|found| found.record.is_some()), "the recipient is there");
    let message = NewMessage {
        chat,
        sender: sender.user,
        text: MessageText::parse(CONTENT.to_owned()).expect("a text"),
        client_id: Some(ClientId::parse(&uuid::Uuid::new_v4().to_string()).expect("an id")),
        sent_at: Clock::default().now(),
    };
    let appended = store.append_message(&message, head).await.expect("an answer");
    assert!(matches!(appended, Append::Stored(_)), "{appended:?}");
}

/// Reads somebody's profile, and gives how many friends and chats it has.
pub async fn read_profile(store: &dyn Store, session: &SessionKey) -> usize {
    let reads = futures_util::try_join!(store.find_profile(session), store.list_chat_ids(session.user, OwnUser::MAX_CHATS));
    let (profile, chats) = reads.expect("an answer");
    profile.expect("a session").record.friends.len() + chats.len()
}
