//! The commands of README's conversation, word by word.

use std::process::Command;
use std::sync::Arc;

use crate::context::Context;
use crate::tests;

tests!(Context:
    the_conversation_can_be_pasted_as_it_is,
);

/// The address that README's server has.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// The shell's lines under a heading of README.
fn commands(heading: &str) -> String {
    let readme = include_str!("../../README.md");
    let section = readme.split(heading).nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("the text of a block")).collect()
}

async fn the_conversation_can_be_pasted_as_it_is(context: Arc<Context>) {
    let script = commands("## A conversation\n");
    assert!(script.contains(ADDRESS), "{script}");
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script.replace(ADDRESS, &context.url())]);
    let output = tokio::task::spawn_blocking(move || shell.output()).await.expect("a task").expect("a shell");
    let (said, shown) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(shown.matches("\"message\":\"Registration successful\"").count(), 2, "{shown}");
    let answers: Vec<_> = said.lines().collect();
    let expected = ["Friend added successfully", "Message sent successfully", "\"content\":\"hello\"", "Logout successful"];
    assert_eq!(answers.len(), expected.len(), "{said}");
    assert!(answers.iter().zip(expected).all(|(answer, part)| answer.contains(part)), "{said}");
}
