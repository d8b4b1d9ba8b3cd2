//! Finds the paths in a source file that refer to its own crate.
//!
//! Paths count in `use`, in `pub use`, in code and in inline modules. Names that macros bring into scope are not seen.
//! A re-export is not resolved: a path counts as its first target.

use crate::tokens::{Token, tokens};

/// A path below the crate's root, and its last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// Returns the paths in `source`, the file of the module `module`.
///
/// * `is_module`: returns true for paths of modules with files of their own
pub(crate) fn names(source: &str, module: &[String], is_module: &dyn Fn(&[String]) -> bool) -> Vec<Name> {
    let tokens = tokens(source);
    let mut reader = Reader {
        tokens: &tokens,
        module,
        is_module,
        inline: Vec::new(),
        aliases: Vec::new(),
        names: Vec::new(),
    };
    reader.read();
    reader.names
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    module: &'a [String],
    is_module: &'a dyn Fn(&[String]) -> bool,
    /// Names of the inline modules around the current token, with the depth of braces at which each ends.
    inline: Vec<(String, usize)>,
    /// Modules that a `use` brought into scope, by their names in this file.
    aliases: Vec<(String, Vec<String>)>,
    names: Vec<Name>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn read(&mut self) {
        let mut depth = 0;
        let mut at = 0;
        while at < self.tokens.len() {
            match self.text(at) {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    self.inline.pop_if(|(_, end)| *end == depth);
                }
                "mod" if self.text(at + 2) == "{" => self.inline.push((self.text(at + 1).to_owned(), depth)),
                _ => {}
            }
            at = match self.start(at) {
                Some((base, next)) => self.tree(base, next),
                None => at + 1,
            };
        }
    }

    /// The module with which the path at `at` starts, and the position after it, if a path of this crate starts there.
    fn start(&self, at: usize) -> Option<(Vec<String>, usize)> {
        let is_first = at == 0 || self.text(at - 1) != "::";
        let is_visibility = at >= 2 && self.text(at - 1) == "in" && self.text(at - 2) == "(";
        if !is_first || is_visibility || self.text(at + 1) != "::" {
            return None;
        }
        match self.text(at) {
            "crate" => Some((Vec::new(), at + 1)),
            "self" => Some((self.here(), at + 1)),
            "super" => Some(self.parents(at)),
            word => self.in_scope(word).map(|base| (base, at + 1)),
        }
    }

    /// The module of the current token.
    fn here(&self) -> Vec<String> {
        self.module.iter().chain(self.inline.iter().map(|(name, _)| name)).cloned().collect()
    }

    fn parents(&self, mut at: usize) -> (Vec<String>, usize) {
        let mut base = self.here();
        while self.text(at) == "super" {
            base.pop();
            at += 2;
        }
        (base, at - 1)
    }

    /// The module with the name `word`: an imported one, or a child of an enclosing module of the token.
    fn in_scope(&self, word: &str) -> Option<Vec<String>> {
        let imported = self.aliases.iter().find(|(name, _)| name == word).map(|(_, path)| path.clone());
        imported.or_else(|| {
            let here = self.here();
            let around = (self.module.len()..=here.len()).rev().map(|n_names| &here[..n_names]);
            let mut children = around.map(|module| [module, &[word.to_owned()]].concat());
            children.find(|child| (self.is_module)(child))
        })
    }

    /// Reads the name or tree of names after `base`, and returns the position after it.
    fn tree(&mut self, base: Vec<String>, at: usize) -> usize {
        if self.text(at) != "::" {
            return self.leaf(base, at);
        }
        match self.text(at + 1) {
            "{" => self.branches(&base, at + 2),
            "*" => self.leaf(base, at + 2),
            word if word.starts_with(|first: char| first == '_' || first.is_alphabetic()) => {
                let path = [base, vec![word.to_owned()]].concat();
                self.tree(path, at + 2)
            }
            _ => self.leaf(base, at),
        }
    }

    fn branches(&mut self, base: &[String], mut at: usize) -> usize {
        while at < self.tokens.len() && self.text(at) != "}" {
            at = match self.text(at) {
                "," => at + 1,
                "self" => self.leaf(base.to_vec(), at + 1),
                "*" => self.leaf(base.to_vec(), at + 1),
                word => {
                    let path = [base, &[word.to_owned()]].concat();
                    self.tree(path, at + 1)
                }
            };
        }
        at + 1
    }

    fn leaf(&mut self, path: Vec<String>, at: usize) -> usize {
        let renamed = self.text(at) == "as";
        if (self.is_module)(&path) {
            let alias =
                if renamed { self.text(at + 1).to_owned() } else { path.last().cloned().unwrap_or_default() };
            self.aliases.push((alias, path.clone()));
        }
        let line = self.tokens[at - 1].line;
        self.names.push(Name { path, line });
        if renamed { at + 2 } else { at }
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    /// The paths in `source`, the file of `here::module`, in a crate with the module files `here::child` and `there`.
    fn paths(source: &str) -> Vec<String> {
        let module = ["here".to_owned(), "module".to_owned()];
        let is_module =
            |path: &[String]| ["here::module::child", "there"].contains(&path.join("::").as_str());
        names(source, &module, &is_module).into_iter().map(|name| name.path.join("::")).collect()
    }

    #[test]
    fn braces_may_nest() {
        let source = "use crate::a::{self, B, c::{D as E, f::*}, g};\nuse std::{fs, path::Path};";
        assert_eq!(paths(source), ["a", "a::B", "a::c::D", "a::c::f", "a::g"]);
    }

    #[test]
    fn paths_count_in_code_too() {
        assert_eq!(
            paths("fn f() -> crate::a::B { crate::c::d::<u8>(super::e::F { g: 1 }) }"),
            ["a::B", "c::d", "here::e::F"]
        );
        assert_eq!(paths("macro_rules! m { () => { $crate::a::b!() } }"), ["a::b"]);
        assert_eq!(paths("pub use crate::a::B;"), ["a::B"]);
    }

    #[test]
    fn self_and_super_start_from_the_enclosing_module() {
        assert_eq!(
            paths("use self::child::A; use super::b::C; use super::super::d;"),
            ["here::module::child::A", "here::b::C", "d"]
        );
        let inline = "mod tests { use super::*; use super::super::other::A; } use super::B;";
        assert_eq!(paths(inline), ["here::module", "here::other::A", "here::B"]);
    }

    #[test]
    fn modules_in_scope_start_paths() {
        assert_eq!(paths("mod child; pub use child::A;"), ["here::module::child::A"]);
        assert_eq!(
            paths("use crate::there; fn f() { there::a::b(); other::c(); }"),
            ["there", "there::a::b"]
        );
        assert_eq!(
            paths("use crate::there as here; fn f() { here::a(); x::there::b(); }"),
            ["there", "there::a"]
        );
    }

    #[test]
    fn comments_strings_visibility_and_declarations_are_not_paths() {
        assert!(paths("//! [`crate::a`]\n/* use crate::b; */ const C: &str = \"crate::d\"; const E: &str = r#\"crate::f\"#;").is_empty());
        assert!(
            paths("mod child; pub(crate) fn f() {} pub(in crate::a) fn g() {} pub(super) fn h(self) {}")
                .is_empty()
        );
    }
}
