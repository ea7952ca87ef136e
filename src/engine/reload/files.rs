//! What the files were that the settings name: a certificate or credentials that were renewed in their
//! place are a change that no key shows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::config::{Config, Nats};
use crate::nats;
use crate::setting_file;

/// The setting and a hash of what the file held, by path.
#[derive(Debug)]
pub(super) struct Files(BTreeMap<PathBuf, (String, Option<[u8; 32]>)>);

impl Files {
    /// Those of TLS and of NATS. Tokens are compared as users' keys.
    pub(super) fn of(config: &Config) -> Self {
        let sections = [
            ("[tls] ", "", &config.tls),
            ("[ingest] ", "tls_", &config.ingest.tls.files),
            ("[delivery] ", "tls_", &config.delivery.tls.files),
            ("[admin] ", "tls_", &config.admin.tls.files),
            ("[http] ", "tls_", &config.http.tls.files),
        ];
        let mut files = Vec::new();
        for (section, prefix, it) in sections {
            let keys = [
                ("cert", &it.cert),
                ("key", &it.key),
                ("client_ca", &it.client_ca),
            ];
            for (key, path) in keys {
                files.extend(
                    path.clone()
                        .map(|it| (it, format!("{section}{prefix}{key}"))),
                );
            }
        }
        for source in &config.sources {
            let it = &source.tls;
            let keys = [("ca", &it.ca), ("cert", &it.cert), ("key", &it.key)];
            for (key, path) in keys {
                let name = format!("[[source]] {} tls_{key}", source.address);
                files.extend(path.clone().map(|it| (it, name)));
            }
        }
        files.extend(of_nats("[cluster]", &config.cluster.nats));
        for source in &config.sources {
            let name = format!("[[source]] {}", source.address);
            files.extend(of_nats(&name, &source.nats));
        }
        for destination in nats::destinations(config) {
            let name = format!("[[destination]] {}", destination.id);
            files.extend(of_nats(&name, &destination.nats));
        }
        let read = |(path, name): (PathBuf, String)| {
            let text = setting_file::read(&path).ok();
            let hash = text.map(|it| Sha256::digest(it).into());
            (path, (name, hash))
        };
        Self(files.into_iter().map(read).collect())
    }

    /// The settings whose files are where they were, and hold something else now.
    pub(super) fn changed(&self, now: &Self) -> Vec<String> {
        let both = now.0.iter().filter_map(|(path, (name, hash))| {
            let (_, before) = self.0.get(path)?;
            (before != hash).then(|| format!("{name} (another file)"))
        });
        let mut changed: Vec<_> = both.collect();
        changed.sort_unstable();
        changed
    }
}

/// Those of one login.
fn of_nats(name: &str, nats: &Nats) -> impl Iterator<Item = (PathBuf, String)> {
    let keys = [
        ("creds", &nats.creds),
        ("nkey", &nats.nkey),
        ("tls_ca", &nats.ca),
        ("tls_cert", &nats.cert),
        ("tls_key", &nats.key),
    ];
    let there = keys.map(|(key, path)| Some((path.clone()?, format!("{name} {key}"))));
    there.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_were_renewed_are_a_change_of_who_shows_them() {
        let home = tempfile::tempdir().expect("a directory");
        let [one, other] = ["one", "other"].map(|it| home.path().join(it));
        let write = |path: &PathBuf, text: &str| std::fs::write(path, text).expect("it is written");
        write(&one, "jwt");
        write(&other, "seed");
        let text = format!(
            "source = [{{ nats = 'nats://h', stream = 'S', durable = 'd', creds = {one:?} }}]\n\
             [[destination]]\nid = 'w-*'\nnats = 'nats://h'\nsubject = 'o.{{id}}'\nnkey = {other:?}\n"
        );
        let config = crate::config::parse("x.toml", &text, &[]).expect("right");
        let before = Files::of(&config);
        write(&one, "another jwt");
        write(&other, "another seed");
        assert_eq!(
            before.changed(&Files::of(&config)),
            [
                "[[destination]] w-* nkey (another file)",
                "[[source]] nats://h:4222/S/d creds (another file)",
            ]
        );
    }

    #[test]
    fn a_file_that_holds_something_else_is_a_change_of_its_setting() {
        let home = tempfile::tempdir().expect("a directory");
        let cert = home.path().join("cert.pem");
        let mut config = Config::default();
        config.tls.cert = Some(cert.clone());
        config.delivery.tls.files.key = Some(home.path().join("none"));
        let http = home.path().join("http.pem");
        config.http.tls.files.cert = Some(http.clone());
        std::fs::write(&cert, "one").expect("it is written");
        let before = Files::of(&config);
        assert_eq!(before.changed(&Files::of(&config)), [] as [&str; 0]);
        std::fs::write(&cert, "two").expect("it is written");
        let changed = before.changed(&Files::of(&config));
        assert_eq!(changed, ["[tls] cert (another file)"]);
        std::fs::write(&http, "new").expect("it is written");
        let changed = before.changed(&Files::of(&config));
        assert_eq!(changed[0], "[http] tls_cert (another file)");
        assert_eq!(
            Files::of(&Config::default()).changed(&before),
            [] as [&str; 0]
        );
    }
}
