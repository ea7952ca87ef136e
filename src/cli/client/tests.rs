//! What the options of TLS mean.

use clap::Parser as _;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    tls: TlsArgs,
}

fn client(options: &str, place: &Place) -> Result<Option<TlsClient>, Failure> {
    let line = Line::parse_from(format!("x {options}").split_whitespace());
    line.tls.client(place)
}

fn name(options: &str, address: &str) -> Option<String> {
    let client = client(options, &Place::given(address)).expect("of use");
    client.map(|it| it.name.to_str().into_owned())
}

#[test]
fn whoever_names_a_name_or_an_authority_means_tls() {
    assert_eq!(name("", "kitchen:1"), None);
    assert_eq!(name("--tls", "kitchen:1").as_deref(), Some("kitchen"));
    assert_eq!(name("--tls", "[::1]:1").as_deref(), Some("::1"));
    assert_eq!(name("--tls-name bar", "10.0.0.1:1").as_deref(), Some("bar"));
    let speaks_tls = Place {
        speaks_tls: true,
        ..Place::given("127.0.0.1:9")
    };
    assert!(client("", &speaks_tls).expect("of use").is_some());
}

#[test]
fn what_is_no_name_and_what_is_no_file_is_named() {
    let failure = |options| client(options, &Place::given("a:1")).expect_err("of no use");
    let words = failure("--tls-name a/b").to_string();
    assert!(
        words.contains("\"a/b\"") && words.contains("--tls-name"),
        "{words}"
    );
    let words = failure("--tls-ca /no/such.pem").to_string();
    assert!(words.contains("--tls-ca /no/such.pem"), "{words}");
}

#[test]
fn an_error_line_of_an_address_with_tls_says_which_option_is_missing() {
    let said = refused("this address speaks TLS; connect with TLS", None).to_string();
    assert!(said.contains("--tls"), "{said}");
    assert!(
        !refused("no such destination", None)
            .to_string()
            .contains("--tls")
    );
}

#[test]
fn an_error_line_that_wants_a_token_says_which_option_gives_one() {
    for (why, said) in [
        (
            r#"a token is wanted here; send {"producer":{"token":"..."}} first"#,
            "a token is wanted here: --token-file FILE",
        ),
        (
            r#"no user has this token; send {"subscribe":["table1"],"token":"..."}"#,
            "no user has this token: --token-file FILE",
        ),
    ] {
        let words = refused(why, None).to_string();
        assert!(words.contains(said) && !words.contains('{'), "{words}");
    }
}

#[test]
fn an_answer_of_http_for_customers_is_told_from_one_of_the_admin_s() {
    let words = wants_token(r#"{"error":"a token is wanted here; send it as Authorization"}"#);
    assert!(words.contains("give its [admin] listen"), "{words}");
    let words = wants_token("a token is wanted here; send it as Authorization: Bearer TOKEN\n");
    assert!(
        words.starts_with("a token is wanted here: --token-file"),
        "{words}"
    );
}

#[test]
fn a_standby_s_line_says_where_to_go() {
    let said = refused("standby: n1 serves group east", Some("h:1")).to_string();
    assert!(
        said.ends_with("n1 serves group east: give --address h:1"),
        "{said}"
    );
    assert!(
        !refused("standby", Some("a\u{1b}[2J"))
            .to_string()
            .contains('\u{1b}')
    );
}
