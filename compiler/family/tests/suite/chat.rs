//! Chat templates: the text that Transformers would render.

use expect_test::expect;
use mc_family::chat::{ChatTemplate, Message};

use crate::vocabulary;

fn messages(said: &[(&str, &str)]) -> Vec<Message> {
    let message =
        |(role, content): &(&str, &str)| Message { role: (*role).to_owned(), content: (*content).to_owned() };
    said.iter().map(message).collect()
}

fn render(source: &str, said: &[(&str, &str)]) -> String {
    ChatTemplate::new(source, "`chat_template.jinja`")
        .unwrap()
        .render(&messages(said), "<s>", "</s>", true)
        .unwrap()
}

#[test]
fn the_template_of_the_base_begins_a_turn_for_the_assistant() {
    let template =
        ChatTemplate::new(&vocabulary::base().chat_template.unwrap(), "`chat_template.jinja`").unwrap();
    let said = messages(&[("system", "Be brief. "), ("user", "Hi")]);
    let text = template.render(&said, "<|begin_of_text|>", "<|eot_id|>", true).unwrap();
    expect![[r#"
        <|begin_of_text|><|start_header_id|>system<|end_header_id|>

        Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>

        Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>

    "#]]
    .assert_eq(&text);
    let text = template.render(&said, "", "", false).unwrap();
    assert!(text.ends_with("Hi<|eot_id|>"));
}

#[test]
fn block_tags_leave_no_blank_lines() {
    let source = "{% for message in messages %}\n    {% if true %}\n{{ message.role }}\n    {% endif %}\n{% endfor %}\nend";
    assert_eq!(render(source, &[("user", "")]), "user\nend");
}

#[test]
fn functions_that_templates_call_exist() {
    for (source, expected) in [
        ("{{ messages[0]['content'].strip().upper() }}", "A <B>"),
        ("{{ messages[0].content.split(' ')[2] }}", "<b>"),
        ("{{ messages[::-1][0].role }}", "user"),
        ("{% for m in messages %}{% break %}{% endfor %}{{ bos_token }}{{ eos_token }}", "<s></s>"),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "1",
        ),
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("{% generation %}{{ messages | length }}{% endgeneration %}", "1"),
        ("a\n  {%- generation -%}\n {{ 1 }} {%+ endgeneration %}\nb", "a1 b"),
        ("{% block turn %}{{ messages[0].role }}{% endblock %}", "user"),
        ("{{ tools is defined }}", "False"),
    ] {
        assert_eq!(render(source, &[("user", " a <b> ")]), expected, "{source}");
    }
}

#[test]
fn json_is_spaced_like_that_of_python() {
    assert_eq!(
        render("{{ messages | tojson }}", &[("user", "<é> 'it'")]),
        r#"[{"role": "user", "content": "<é> 'it'"}]"#
    );
    assert_eq!(render("{{ {'a': [1, 2]} | tojson(indent=2) }}", &[]), "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
}

#[test]
fn an_error_that_a_template_raises_is_reported_verbatim() {
    let template =
        ChatTemplate::new("{{ raise_exception('Roles must alternate') }}", "`chat_template.jinja`").unwrap();
    let error = template.render(&messages(&[]), "", "", false).unwrap_err();
    expect![[r#"
        The chat template in `chat_template.jinja` cannot be rendered: invalid operation: Roles must alternate (in chat:1)
    "#]]
    .assert_eq(&format!("{error}\n"));
    let error = ChatTemplate::new("{% if %}", "`chat_template.jinja`").err().unwrap();
    expect![[r#"
        The chat template in `chat_template.jinja` cannot be read: syntax error: unexpected end of block (in chat:1)
    "#]]
    .assert_eq(&format!("{error}\n"));
}
