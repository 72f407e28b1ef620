//! One rule for every path in a configuration: relative to the folder that the configuration is
//! in, whatever the working directory and the command.

use std::path::{Path, PathBuf};

use walrus_core::config::{Configuration, DnstapOutput};

/// Puts all relative paths into the configuration's folder.
pub(crate) fn anchor(configuration: &mut Configuration, folder: &Path) {
    let Configuration {
        zones,
        geo,
        node,
        dns,
        group,
        api,
        reporter,
        name_servers,
        identities,
        keys,
        ..
    } = configuration;
    let mut all: Vec<&mut PathBuf> = vec![&mut node.state];
    all.extend(zones.iter_mut().filter_map(|zone| zone.file.as_mut()));
    all.extend(geo.database.iter_mut());
    all.extend(dns.decision_log.iter_mut().chain(&mut dns.cookie_secret_file));
    all.extend(dns.dnstap.as_mut().map(DnstapOutput::path_mut));
    all.extend([&mut dns.certificate, &mut dns.key].into_iter().flatten());
    let of_group = [
        &mut group.certificate,
        &mut group.key,
        &mut group.token_file,
        &mut group.node_token_file,
        &mut group.authority,
        &mut group.client_authority,
        &mut group.client_revocations,
        &mut group.join_certificate,
        &mut group.join_key,
    ];
    all.extend(of_group.into_iter().flatten());
    all.extend(identities.iter_mut().filter_map(|identity| identity.token_file.as_mut()));
    if let Some(nats) = &mut group.nats {
        all.extend(
            [&mut nats.authority, &mut nats.certificate, &mut nats.key].into_iter().flatten(),
        );
        all.extend(nats.authentication.file_mut());
    }
    all.extend(api.token_file.iter_mut());
    let of_servers = name_servers.iter_mut().filter_map(|server| server.key.as_mut());
    all.extend(of_servers.chain(keys).map(|key| &mut key.secret_file));
    if let Some(reporter) = reporter {
        let files = [
            &mut reporter.authority,
            &mut reporter.certificate,
            &mut reporter.key,
            &mut reporter.bypass_file,
            &mut reporter.token_file,
            &mut reporter.version_file,
        ];
        all.extend(files.into_iter().flatten());
    }
    for path in all {
        *path = folder.join(&path);
    }
}

/// Secrets and certificates that are named but not there, one problem each. What a Reporter needs
/// is not among them: it waits for its token, which others bring.
pub(crate) fn missing(configuration: &Configuration) -> Vec<String> {
    let group = &configuration.group;
    let named = [
        ("[api] token_file", &configuration.api.token_file),
        ("[group] token_file", &group.token_file),
        ("[group] certificate", &group.certificate),
        ("[group] key", &group.key),
        ("[group] client_authority", &group.client_authority),
        ("[group] client_revocations", &group.client_revocations),
        ("[group] join_certificate", &group.join_certificate),
        ("[group] join_key", &group.join_key),
    ];
    let gone = named.into_iter().filter_map(|(setting, path)| {
        let path = path.as_ref()?;
        (!path.exists()).then(|| format!("{setting}: there is no file {}", path.display()))
    });
    let published = configuration.name_servers.iter().filter(|_| configuration.node.roles.updater);
    let secrets = published.filter_map(|server| {
        let path = &server.key.as_ref()?.secret_file;
        (!path.exists()).then(|| {
            format!(
                "[[name_server]] `{}` key.secret_file: there is no file {}: `walrus setup` makes it",
                server.name,
                path.display()
            )
        })
    });
    let tokens = configuration.identities.iter().filter_map(|identity| {
        let path = identity.token_file.as_ref().filter(|path| !path.exists())?;
        Some(format!(
            "[[identity]] `{}` token_file: there is no file {}: `walrus identity new` makes it",
            identity.name,
            path.display()
        ))
    });
    let mut gone: Vec<String> = gone.chain(secrets).chain(tokens).collect();
    if let Some(nats) = &group.nats {
        let named = [
            ("authority", nats.authority.as_ref()),
            ("certificate", nats.certificate.as_ref()),
            ("key", nats.key.as_ref()),
            (nats.authentication.setting(), nats.authentication.file()),
        ];
        for (setting, path) in named {
            if let Some(path) = path.filter(|path| !path.exists()) {
                gone.push(format!("[group.nats] {setting}: there is no file {}", path.display()));
            }
        }
    }
    gone
}
