//! Each rule against a table of texts.

use super::*;

#[test]
fn a_file_may_have_800_lines_and_not_801() {
    assert!(length(&"a\n".repeat(MAX_LINES)).is_empty());
    assert_eq!(length(&"a\n".repeat(MAX_LINES + 1)).len(), 1);
}

#[test]
fn a_package_that_drops_the_common_lints_is_found() {
    let cases = [
        ("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n", 0),
        ("[package]\nname = \"a\"\n", 1),
        (
            "[package]\nname = \"a\"\n\n[lints.rust]\nunsafe_code = \"allow\"\n",
            1,
        ),
        (
            "[package]\nname = \"a\"\n\n[lints]\n\n[other]\nworkspace = true\n",
            1,
        ),
        (
            "[workspace]\n\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n",
            0,
        ),
        (
            "[workspace]\n\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n",
            1,
        ),
        ("[workspace]\n", 1),
    ];
    for (manifest, expected) in cases {
        assert_eq!(
            lints_of_the_workspace(manifest).len(),
            expected,
            "{manifest}"
        );
    }
}

#[test]
fn panics_in_library_code_are_found() {
    // (code, complaints elsewhere, complaints in the protocol crate)
    let cases = [
        ("a.unwrap()", 1, 1),
        ("a.unwrap_or(b)", 0, 0),
        ("panic!(\" \")", 1, 1),
        ("std::panic!(\" \")", 1, 1),
        ("unreachable!()", 1, 1),
        ("my_panic!()", 0, 0),
        ("std::panic::catch_unwind(f)", 0, 0),
        ("a.expect(\"   \")", 0, 1),
        ("a\n    .expect(\n        \"   \",\n    )", 0, 1),
        ("a.expect(\"\")", 1, 1),
        ("self.expect(b' ')", 0, 0),
        ("a.expect_err(\" \")", 0, 0),
    ];
    for (code, elsewhere, in_protocol_crate) in cases {
        assert_eq!(panics(code, false).len(), elsewhere, "{code}");
        assert_eq!(panics(code, true).len(), in_protocol_crate, "{code}");
    }
}

#[test]
fn complaints_name_the_line() {
    assert!(
        panics("a\nb\nc.unwrap()", false)
            .concat()
            .starts_with(":3:")
    );
}

#[test]
fn starting_a_task_is_found() {
    let cases = [
        ("tokio::spawn(a)", 1),
        ("task::spawn(a)", 1),
        ("set.spawn(a)", 1),
        ("tokio::task::spawn_blocking(a)", 1),
        ("fn spawn(a)", 0),
        ("respawn(a)", 0),
    ];
    for (code, expected) in cases {
        assert_eq!(spawns(code).len(), expected, "{code}");
    }
}

#[test]
fn the_table_of_tasks_is_read_from_the_architecture() {
    let page = "# A\n\n`no.rs`\n\n## 4. Tasks and state\n\n| task | file |\n|---|---|\n\
                | one | `server/one.rs`, `crates/ferriwire/src/two.rs` |\n\nnot `prose.rs`\n\n\
                ## Other\n| `no.rs` |\n";
    let files: Vec<String> = files_that_may_spawn(page).into_iter().collect();
    assert_eq!(files, ["server/one.rs", "two.rs"]);
    assert!(files_that_may_spawn("").is_empty());
}

#[test]
fn paths_of_a_machine_are_found() {
    // `~` stands for the slash in front, so that this file passes the rule.
    let cases = [
        ("see ~home/me/a", 1),
        ("\"~root/.cargo\"", 1),
        ("`~work/main`", 1),
        ("https://example.com~home/me", 0),
        ("..~work/a", 0),
        ("${folder}~work/a", 0),
        ("/usr/bin/env", 0),
        ("~homepage/", 0),
    ];
    for (text, expected) in cases {
        assert_eq!(
            machine_paths(&text.replace('~', "/")).len(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn hosts_of_package_registries_are_found() {
    let host = ["https://registry.", "npmjs.org/a"].concat();
    assert_eq!(registry_hosts(&host).len(), 1);
    let resolved = ["\"resolved\": ", "\"https://mirror/a.tgz\""].concat();
    assert_eq!(registry_hosts(&resolved).len(), 1);
    assert!(registry_hosts("https://crates.io/crates/a").is_empty());
}

/// So that whoever makes a page stale, or breaks another rule, learns it from the tests.
#[test]
fn this_repository_keeps_its_rules() {
    // Only git knows which files are meant; a copy of them without it is not judged.
    if let Ok(complaints) = check(&crate::root()) {
        assert_eq!(complaints, Vec::<String>::new());
    }
}
