//! Power cuts: what a disk may hold if the power goes during a change.
//!
//! A name that was created, renamed or removed since its folder was last synced may be there or not. Changes of one name
//! survive in the order in which they were made, so a part of them from the beginning does; changes of different names
//! survive independently of each other. A rename and an exchange are one change of two names, as journaling and
//! copy-on-write file systems do them. Content that was written and not synced is cut to its first half.
//!
//! File systems in use lose less: most keep all changes of names in order. Only tests use this.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Call, Fault, count, record};
use crate::path::folder_of;

/// A change of names that a file system makes whole or not at all.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NameChange<'a> {
    File(&'a Path),
    Folder(&'a Path),
    HardLink { file: &'a Path, path: &'a Path },
    Symlink { target: &'a Path, path: &'a Path },
    Removal(&'a Path),
    Rename { from: &'a Path, to: &'a Path },
    Exchange { one: &'a Path, other: &'a Path },
}

/// Number of a file, folder or link, which keeps it under every name.
type Inode = usize;
/// What each name in each folder stands for.
type Names = BTreeMap<(Inode, OsString), Inode>;

const ROOT: Inode = 0;

/// Names, each in its folder, that are connected by changes, and the numbers of these changes in order.
type Chain<'a> = (BTreeSet<(Inode, &'a OsString)>, Vec<usize>);

#[derive(Debug)]
enum Kind {
    Folder,
    File {
        unsynced: bool,
        /// Its content, if it may have lost its last name.
        content: Option<Vec<u8>>,
    },
    Symlink(PathBuf),
}

/// Names in one folder, with what they stand for after the change.
#[derive(Debug)]
struct Pending {
    folder: Inode,
    entries: Vec<(OsString, Option<Inode>)>,
}

/// The names below a folder: those that survive a power cut, and all changes since.
#[derive(Debug)]
pub(super) struct NameHistory {
    root: PathBuf,
    kinds: Vec<Kind>,
    durable: Names,
    live: Names,
    pending: Vec<Pending>,
}

impl NameHistory {
    /// Everything that is below `root` counts as synced.
    fn of(root: &Path) -> Self {
        let root = root.canonicalize().expect("a folder that is there");
        let mut history =
            Self { root, kinds: vec![Kind::Folder], durable: Names::new(), live: Names::new(), pending: Vec::new() };
        let mut inodes = BTreeMap::new();
        let mut open = vec![(history.root.clone(), ROOT)];
        while let Some((path, folder)) = open.pop() {
            for entry in fs::read_dir(&path).expect("a folder that can be read") {
                let entry = entry.expect("a folder that can be read");
                let metadata = entry.metadata().expect("a file that is there");
                let new = history.kinds.len();
                let node = if metadata.is_dir() { new } else { *inodes.entry(inode(&metadata, new)).or_insert(new) };
                if node == new {
                    history.kinds.push(match metadata.file_type() {
                        kind if kind.is_dir() => Kind::Folder,
                        kind if kind.is_symlink() => Kind::Symlink(fs::read_link(entry.path()).expect("a link")),
                        _ => Kind::File { unsynced: false, content: None },
                    });
                }
                if metadata.is_dir() {
                    open.push((entry.path(), node));
                }
                history.live.insert((folder, entry.file_name()), node);
            }
        }
        history.durable = history.live.clone();
        history
    }

    /// The folder that is at `path` now, if it is the root or below.
    fn folder(&self, path: &Path) -> Option<Inode> {
        let path = path.canonicalize().ok()?;
        let mut names = path.strip_prefix(&self.root).ok()?.iter();
        names.try_fold(ROOT, |folder, name| self.live.get(&(folder, name.to_owned())).copied())
    }

    fn entry(&self, path: &Path) -> Option<(Inode, OsString)> {
        Some((self.folder(folder_of(path))?, path.file_name()?.to_owned()))
    }

    fn node(&self, path: &Path) -> Option<Inode> {
        self.live.get(&self.entry(path)?).copied()
    }

    fn new_node(&mut self, kind: Kind) -> Option<Inode> {
        self.kinds.push(kind);
        Some(self.kinds.len() - 1)
    }

    /// Keeps the content that loses a name.
    pub(super) fn before(&mut self, change: NameChange<'_>) {
        let (NameChange::Removal(path) | NameChange::Rename { to: path, .. }) = change else { return };
        if let Some(Kind::File { content, .. }) = self.node(path).and_then(|node| self.kinds.get_mut(node)) {
            *content = fs::read(path).ok();
        }
    }

    pub(super) fn after(&mut self, change: NameChange<'_>) {
        let changed = match change {
            NameChange::File(path) if self.node(path).is_some() => return,
            NameChange::File(path) => {
                vec![(path, self.new_node(Kind::File { unsynced: false, content: Some(Vec::new()) }))]
            }
            NameChange::Folder(path) => vec![(path, self.new_node(Kind::Folder))],
            NameChange::HardLink { file, path } => {
                let outside = || Kind::File { unsynced: false, content: fs::read(file).ok() };
                vec![(path, self.node(file).or_else(|| self.new_node(outside())))]
            }
            NameChange::Symlink { target, path } => vec![(path, self.new_node(Kind::Symlink(target.to_owned())))],
            NameChange::Removal(path) => vec![(path, None)],
            // Between two names of one file it does nothing.
            NameChange::Rename { from, to } if self.node(from) == self.node(to) => return,
            NameChange::Rename { from, to } => vec![(to, self.node(from)), (from, None)],
            NameChange::Exchange { one, other } => vec![(one, self.node(other)), (other, self.node(one))],
        };
        let entries: Vec<_> = changed.iter().filter_map(|(path, node)| Some((self.entry(path)?, *node))).collect();
        let Some(&((folder, _), _)) = entries.first() else { return };
        assert!(entries.iter().all(|((other, _), _)| *other == folder), "{change:?} is of one folder");
        let entries = entries.into_iter().map(|((_, name), node)| (name, node)).collect();
        let pending = Pending { folder, entries };
        pending.apply(&mut self.live);
        self.pending.push(pending);
    }

    pub(super) fn names_synced(&mut self, folder: &Path) {
        let Some(synced) = self.folder(folder) else { return };
        let (done, pending) = std::mem::take(&mut self.pending).into_iter().partition(|change| change.folder == synced);
        self.pending = pending;
        Vec::<Pending>::into_iter(done).for_each(|change| change.apply(&mut self.durable));
    }

    pub(super) fn content_changed(&mut self, path: &Path, now_unsynced: bool) {
        if let Some(Kind::File { unsynced, .. }) = self.node(path).and_then(|node| self.kinds.get_mut(node)) {
            *unsynced = now_unsynced;
        }
    }

    /// Every path with its node, a folder before what is in it.
    fn paths(names: &Names) -> Vec<(PathBuf, Inode)> {
        let mut paths = vec![(PathBuf::new(), ROOT)];
        let mut at = 0;
        while let Some((path, folder)) = paths.get(at).cloned() {
            let inside = names.range((folder, OsString::new())..).take_while(|((of, _), _)| *of == folder);
            paths.extend(inside.map(|((_, name), node)| (path.join(name), *node)));
            at += 1;
        }
        paths.remove(0);
        paths
    }

    /// Reads the content of every file.
    ///
    /// # Panics
    /// If a name below the root was changed by other means than this crate's.
    fn read_contents(&mut self) {
        let found = Self::of(&self.root);
        let names = |names: &Names| Self::paths(names).into_iter().map(|(path, _)| path).collect::<BTreeSet<_>>();
        let (found, known) = (names(&found.live), names(&self.live));
        let other: Vec<_> = found.symmetric_difference(&known).collect();
        assert!(other.is_empty(), "{other:?} changed and no call of `disk` did it");
        for (path, node) in Self::paths(&self.live) {
            if let Some(Kind::File { content, .. }) = self.kinds.get_mut(node) {
                *content = Some(fs::read(self.root.join(path)).expect("a file that can be read"));
            }
        }
    }

    /// What the disk may hold after a power cut, each once.
    fn survivors(&self) -> Vec<Names> {
        let mut chains: Vec<Chain<'_>> = Vec::new();
        for (index, change) in self.pending.iter().enumerate() {
            let names: BTreeSet<_> = change.entries.iter().map(|(name, _)| (change.folder, name)).collect();
            let (connected, mut others): (Vec<_>, Vec<_>) =
                std::mem::take(&mut chains).into_iter().partition(|(of, _)| !of.is_disjoint(&names));
            let mut chain = (names, vec![index]);
            for (names, changes) in connected {
                chain.0.extend(names);
                chain.1.extend(changes);
            }
            chain.1.sort_unstable();
            others.push(chain);
            chains = others;
        }
        let lengths: Vec<usize> = chains.iter().map(|(_, changes)| changes.len()).collect();
        // All are kept or lost, except one chain, of which each beginning is kept.
        let mut kept = vec![lengths.clone(), vec![0; lengths.len()]];
        for (chain, length) in lengths.iter().enumerate() {
            for others in [lengths.clone(), vec![0; lengths.len()]] {
                kept.extend((0..=*length).map(|part| {
                    let mut kept = others.clone();
                    kept[chain] = part;
                    kept
                }));
            }
        }
        let mut seen = BTreeSet::new();
        let names = kept.into_iter().map(|kept| {
            let mut names = self.durable.clone();
            let changes = chains.iter().zip(kept).flat_map(|((_, changes), kept)| &changes[..kept]);
            changes.for_each(|change| self.pending[*change].apply(&mut names));
            names
        });
        names.filter(|names| seen.insert(Self::paths(names))).collect()
    }

    /// Makes the folder hold these names.
    fn put(&self, names: &Names, lose_content: bool) {
        clear(&self.root);
        let mut placed: BTreeMap<Inode, PathBuf> = BTreeMap::new();
        for (path, node) in Self::paths(names) {
            let path = self.root.join(path);
            let put = match (&self.kinds[node], placed.get(&node)) {
                (Kind::Folder, _) => fs::create_dir(&path),
                (_, Some(first)) => fs::hard_link(first, &path),
                (Kind::File { unsynced, content }, None) => {
                    let content = content.as_deref().expect("content that was read");
                    let kept = if *unsynced && lose_content { content.len() / 2 } else { content.len() };
                    fs::write(&path, &content[..kept])
                }
                (Kind::Symlink(target), None) => put_symlink(target, &path),
            };
            put.expect("a folder that can be written to");
            placed.insert(node, path);
        }
    }
}

impl Pending {
    fn apply(&self, names: &mut Names) {
        for (name, node) in &self.entries {
            let entry = (self.folder, name.clone());
            match node {
                Some(node) => names.insert(entry, *node),
                None => names.remove(&entry),
            };
        }
    }
}

/// Cuts the power at each call of `change`, and after its end, and checks everything that the disk may hold then; so it
/// does for a process that is killed there, which loses nothing that it did. Returns how many states were checked.
///
/// `root` is emptied each time, and `prepare` makes what is there before: that has been synced. `check` gets what
/// `change` returned, which is an error if the cut came before its end, and a description for a failure's message. It may
/// change what is there.
///
/// # Panics
/// If a name in `root` is changed by other means than this crate's, or the folder can't be used.
pub fn power_cuts<T>(
    root: &Path,
    prepare: impl Fn(),
    change: impl Fn() -> T,
    mut check: impl FnMut(&T, &str),
) -> usize {
    const EIO: i32 = 5;
    let begin = || {
        clear(root);
        prepare();
    };
    begin();
    let calls = count(|| drop(change()));
    let mut states = 0;
    for at in calls.into_iter().map(Some).chain([None::<Call>]) {
        begin();
        let fault = at.map(|at| Fault { at, errno: EIO, for_ever: true });
        let (result, mut history) = record(fault, NameHistory::of(root), &change);
        history.read_contents();
        let cut = history.survivors().into_iter().map(|names| (names, true));
        for (names, lose_content) in cut.chain([(history.live.clone(), false)]) {
            history.put(&names, lose_content);
            let paths: Vec<_> = NameHistory::paths(&names).into_iter().map(|(path, _)| path).collect();
            let end = if lose_content { "power cut" } else { "kill" };
            check(&result, &format!("{end} at {at:?}, which leaves {paths:?}"));
            states += 1;
        }
    }
    states
}

fn clear(root: &Path) {
    for entry in fs::read_dir(root).expect("a folder that can be read") {
        let path = entry.expect("a folder that can be read").path();
        let removed =
            if path.is_symlink() || !path.is_dir() { fs::remove_file(path) } else { fs::remove_dir_all(path) };
        removed.expect("a folder that can be emptied");
    }
}

/// What tells the names of one file from names of others.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata, _: Inode) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata, node: Inode) -> u64 {
    node as u64
}

#[cfg(unix)]
fn put_symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn put_symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
