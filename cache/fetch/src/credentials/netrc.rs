//! `.netrc`: names and passwords by host, in the format of `curl` and `git`.

use crate::secret::Secret;
use crate::secret::login::Login;

/// The entries of a `.netrc`.
#[derive(Clone, Debug, Default)]
pub struct Netrc {
    machines: Vec<Machine>,
}

#[derive(Clone, Debug, Default)]
struct Machine {
    /// The host; `None` is `default`.
    host: Option<String>,
    login: String,
    password: Option<Secret>,
}

impl Netrc {
    /// Parses the text of the file. Skips what it does not understand: the file belongs to other programs.
    pub fn parse(text: &str) -> Self {
        let mut machines: Vec<Machine> = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "machine" => {
                        let host = words.next().map(str::to_ascii_lowercase);
                        machines.push(Machine { host: Some(host.unwrap_or_default()), ..Machine::default() });
                    }
                    "default" => machines.push(Machine::default()),
                    "login" | "password" | "account" => {
                        let value = words.next().unwrap_or_default();
                        let Some(machine) = machines.last_mut() else { continue };
                        match word {
                            "login" => value.clone_into(&mut machine.login),
                            "password" => machine.password = Some(Secret::new(value)),
                            _ => {}
                        }
                    }
                    // A macro extends to the next empty line.
                    "macdef" => {
                        lines.by_ref().take_while(|line| !line.trim().is_empty()).for_each(drop);
                        break;
                    }
                    comment if comment.starts_with('#') => break,
                    _ => {}
                }
            }
        }
        Self { machines }
    }

    /// The login for a host.
    pub fn login(&self, host: &str) -> Option<Login> {
        let matches = |machine: &&Machine| machine.host.as_deref().is_none_or(|known| known == host);
        let machine = self.machines.iter().find(matches)?;
        machine.login()
    }

    /// The login of a host that has its own entry; never the default.
    pub(crate) fn own_login(&self, host: &str) -> Option<Login> {
        self.machines.iter().find(|machine| machine.host.as_deref() == Some(host))?.login()
    }
}

impl Machine {
    fn login(&self) -> Option<Login> {
        Some(Login { name: self.login.clone(), password: self.password.clone()? })
    }
}

#[test]
fn machines_defaults_comments_and_macros_are_parsed() {
    let text = "# machine wrong login a password b\nmachine A.example\n  login me\n  password one\n\
                macdef init\nmachine fake password x\n\nmachine b.example login you password two default password rest";
    let netrc = Netrc::parse(text);
    let password = |host| netrc.login(host).map(|login| login.password.open().to_owned());
    assert_eq!(password("a.example").as_deref(), Some("one"));
    assert_eq!(password("b.example").as_deref(), Some("two"));
    assert_eq!(password("fake").as_deref(), Some("rest"));
    assert!(netrc.own_login("fake").is_none() && netrc.own_login("a.example").is_some());
    assert!(Netrc::parse("password x login").login("a").is_none());
}
