//! Endpoints in a file that is watched.

use std::fs;
use std::path::Path;
use std::time::Duration;

use eproxy_core::{Endpoint, EndpointsFile};

use crate::support::folder::Folder;
use crate::support::pause;
use crate::support::watch::Watch;

const LOOK: u64 = 10;

fn watch(path: &Path) -> Watch {
    Watch::of(EndpointsFile::new(path).every(Duration::from_millis(LOOK)))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("the file can be written");
}

/// Writes another file beside it, and puts that in its place: nobody ever sees half of it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    write(&beside, text);
    fs::rename(beside, path).expect("the file can be renamed");
}

fn at(urls: &[&str]) -> Vec<Endpoint> {
    urls.iter().map(|url| Endpoint::new(*url)).collect()
}

#[test]
fn endpoints_are_read_and_read_again_when_the_file_was_changed() {
    let folder = Folder::new();
    let path = folder.path("shop");
    write(&path, "http://10.0.0.7:3000 weight=2 zone=a\n");
    let watch = watch(&path);
    assert_eq!(watch.endpoints(), [Endpoint::new("http://10.0.0.7:3000").weight(2).zone("a")]);
    let more = fs::OpenOptions::new().append(true).open(&path);
    std::io::Write::write_all(&mut more.expect("it is there"), b"http://10.0.0.8:3000\n")
        .expect("it is written");
    let first = Endpoint::new("http://10.0.0.7:3000").weight(2).zone("a");
    assert_eq!(watch.endpoints(), [first, Endpoint::new("http://10.0.0.8:3000")]);
}

#[test]
fn another_file_in_its_place_is_seen_even_if_it_is_as_long_and_as_old() {
    let folder = Folder::new();
    let path = folder.path("shop");
    write(&path, "http://a\n");
    let old = fs::metadata(&path).and_then(|file| file.modified()).expect("it is there");
    let watch = watch(&path);
    assert_eq!(watch.endpoints(), at(&["http://a"]));
    // It has been looked at often enough to be left alone.
    pause(10 * LOOK);
    let beside = folder.path("beside");
    write(&beside, "http://b\n");
    let file = fs::File::options().append(true).open(&beside).expect("it is there");
    file.set_modified(old).expect("its time can be set");
    fs::rename(beside, &path).expect("the file can be renamed");
    assert_eq!(watch.endpoints(), at(&["http://b"]));
}

#[cfg(unix)]
#[test]
fn a_symlink_that_leads_to_another_folder_is_seen() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    // As a ConfigMap of Kubernetes is mounted and updated.
    let version = |name: &str, text: &str| {
        fs::create_dir(folder.path(name)).expect("a folder can be made");
        write(&folder.path(name).join("shop"), text);
        symlink(name, folder.path("..data.new")).expect("a link can be made");
        fs::rename(folder.path("..data.new"), folder.path("..data")).expect("the link can be renamed");
    };
    version("..1", "http://a\n");
    symlink("..data/shop", folder.path("shop")).expect("a link can be made");
    let watch = watch(&folder.path("shop"));
    assert_eq!(watch.endpoints(), at(&["http://a"]));
    version("..2", "http://b\n");
    fs::remove_dir_all(folder.path("..1")).expect("the old folder can be removed");
    assert_eq!(watch.endpoints(), at(&["http://b"]));
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_each_of_them_is_told_with_its_line() {
    let folder = Folder::new();
    let path = folder.path("shop");
    write(&path, "http://a\n");
    let watch = watch(&path);
    watch.endpoints();
    replace(&path, "http://a\nhttp://b wieght=2\n\nhttp://c\nhttp://a # again\n");
    let reason = watch.failure();
    let expected = "line 2: wieght is none of weight, priority, zone, host and label.NAME: \"http://b wieght=2\"; \
                    line 5: the same endpoint as in line 1: \"http://a # again\"";
    assert_eq!(reason, format!("{}: {expected}", path.display()));
    pause(5 * LOOK);
    watch.has_told_all();
    replace(&path, "http://a\nhttp://b weight=2\n");
    assert_eq!(watch.endpoints().len(), 2);
}

#[test]
fn a_file_without_endpoints_changes_nothing() {
    let folder = Folder::new();
    let path = folder.path("shop");
    write(&path, "http://a\n");
    let watch = watch(&path);
    watch.endpoints();
    replace(&path, "# closed\n");
    assert_eq!(watch.failure(), format!("{}: there is no endpoint in it", path.display()));
    replace(&path, "http://a\n");
    assert_eq!(watch.endpoints(), at(&["http://a"]));
}

#[test]
fn a_file_that_vanishes_changes_nothing_and_that_it_is_back_is_told() {
    let folder = Folder::new();
    let path = folder.path("shop");
    write(&path, "http://a\n");
    let watch = watch(&path);
    watch.endpoints();
    fs::rename(&path, folder.path("away")).expect("the file can be renamed");
    let reason = watch.failure();
    assert!(reason.starts_with(&format!("{}: ", path.display())), "{reason}");
    fs::rename(folder.path("away"), &path).expect("the file can be renamed");
    assert_eq!(watch.endpoints(), at(&["http://a"]));
}

#[test]
fn a_file_need_not_be_there_yet() {
    let folder = Folder::new();
    let path = folder.path("shop");
    let watch = watch(&path);
    watch.failure();
    replace(&path, "http://a\n");
    assert_eq!(watch.endpoints(), at(&["http://a"]));
}

#[test]
fn what_is_no_text_or_too_long_to_be_true_is_refused() {
    let folder = Folder::new();
    let path = folder.path("shop");
    fs::write(&path, b"http://a\nhttp://\xff\n").expect("the file can be written");
    let watch = watch(&path);
    assert!(watch.failure().ends_with("it is not UTF-8 from byte 16 on"));
    let beside = folder.path("beside");
    fs::File::create(&beside).and_then(|file| file.set_len((4 << 20) + 1)).expect("a long file can be made");
    fs::rename(beside, &path).expect("the file can be renamed");
    assert!(watch.failure().ends_with("it is longer than 4194304 bytes"));
}
