//! Files that were uploaded, and who may have them.

use domain::conversation::body::{AttachmentKind, File, Upload};
use domain::conversation::{Body, MessageKind};
use domain::testing::user;
use domain::user::{Event as Keeps, UploadFacts};
use domain::values::{FileName, MediaType};
use domain::{AttachmentId, MessageId, Private, TenantId};

use super::{History, Home, NOW, at, tenant};
use crate::attachments::{AttachmentModel, AttachmentView};
use crate::store::ReadModel;

fn upload(number: u8) -> Upload {
    Upload {
        id: AttachmentId::from_bytes([number; 16]),
        kind: AttachmentKind::Image,
        file_name: FileName::parse(format!("Ảnh {number}.png")).unwrap(),
        size: 9,
        mime_type: MediaType::parse("image/png").unwrap(),
        has_thumbnail: true,
        width: Some(3),
        height: Some(4),
        duration_ms: None,
    }
}

fn uploaded(history: &mut History, who: &str, number: u8) -> Upload {
    let facts = UploadFacts::of(&upload(number), user(who));
    history.keeps(who, Keeps::AttachmentUploaded(facts));
    upload(number)
}

fn picture(uploads: &[Upload]) -> Body {
    Body {
        attachments: uploads.iter().cloned().map(File::Uploaded).collect(),
        ..Body::default()
    }
}

async fn seen_by(store: &dyn ReadModel, who: &str, number: u8) -> Option<AttachmentView> {
    let (tenant, user) = (tenant(), user(who));
    let found = store.attachment_for(&tenant, &user, upload(number).id);
    found.await.unwrap()
}

async fn find(store: &dyn AttachmentModel, number: u8) -> AttachmentView {
    store.attachment(upload(number).id).await.unwrap().unwrap()
}

/// Until it comes with a message, it is its user's alone.
pub async fn a_file_is_its_users_and_then_the_members<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let other = history.group(2, &["ann", "cat"]);
    let file = uploaded(&mut history, "ann", 1);
    history.settle(&*store).await;
    let view = find(&*store, 1).await;
    assert_eq!((&view.tenant, &view.user), (&tenant(), &user("ann")));
    assert_eq!((view.was_used, view.is_used), (false, false));
    assert_eq!(view.clone().reachable(), Some(file.clone()));
    assert_eq!(seen_by(&*store, "ann", 1).await, Some(view));
    assert_eq!(seen_by(&*store, "bob", 1).await, None);

    let twice = picture(&[file.clone(), file.clone()]);
    let first = history.send_body(id, "ann", MessageKind::Image, twice);
    let shown = history.send_body(other, "ann", MessageKind::Image, picture(&[file]));
    history.settle(&*store).await;
    for member in ["ann", "bob", "cat"] {
        assert!(seen_by(&*store, member, 1).await.is_some_and(|view| view.is_used));
    }
    assert_eq!(seen_by(&*store, "dan", 1).await, None);
    let elsewhere = TenantId::parse("other").unwrap();
    let ann = user("ann");
    let crossing = store.attachment_for(&elsewhere, &ann, upload(1).id);
    assert_eq!(crossing.await.unwrap(), None);
    let page = store.hydrate(&tenant(), &user("bob"), &[first]).await.unwrap();
    assert_eq!(page[0].attachments, vec![File::Uploaded(upload(1)); 2]);

    history.keeps("cat", Keeps::Hidden(shown));
    history.leave(id, "bob", None);
    history.settle(&*store).await;
    assert_eq!(seen_by(&*store, "bob", 1).await, None, "a member no more");
    assert_eq!(seen_by(&*store, "cat", 1).await, None, "hidden");
}

/// Also when a message is sent and deleted in one batch.
pub async fn a_file_of_deleted_messages_is_out_of_reach<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    let file = uploaded(&mut history, "ann", 1);
    let send = |history: &mut History, file: &Upload| -> MessageId {
        history.send_body(id, "ann", MessageKind::Image, picture(std::slice::from_ref(file)))
    };
    let first = send(&mut history, &file);
    let second = send(&mut history, &file);
    history.settle(&*store).await;
    history.delete(first, "ann");
    history.settle(&*store).await;
    assert!(find(&*store, 1).await.reachable().is_some(), "one is left");
    history.delete(second, "ann");
    let quick = uploaded(&mut history, "ann", 2);
    let third = send(&mut history, &quick);
    history.delete(third, "ann");
    history.settle(&*store).await;
    for number in [1, 2] {
        let view = find(&*store, number).await;
        assert_eq!((view.was_used, view.is_used), (true, false));
        assert!(view.is_unused(NOW) && view.reachable().is_none());
        assert_eq!(seen_by(&*store, "bob", number).await, None);
    }
}

/// What is too young to be unused, used, erased and removed.
pub async fn unused_files_are_found_and_removed<H: Home>() {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    for number in [1, 2, 3] {
        uploaded(&mut history, "ann", number);
    }
    history.send_body(id, "ann", MessageKind::Image, picture(&[upload(2)]));
    let erased = UploadFacts {
        file_name: Private::Erased,
        ..UploadFacts::of(&upload(4), user("bob"))
    };
    history.keeps("bob", Keeps::AttachmentUploaded(erased));
    history.settle(&*store).await;
    let unused = async |before| {
        let all = store.attachments_after(None, 10).await.unwrap();
        let unused = all.into_iter().filter(|view| view.is_unused(before));
        unused.map(|view| view.id).collect::<Vec<_>>()
    };
    let ids = |numbers: &[u8]| numbers.iter().map(|n| upload(*n).id).collect::<Vec<_>>();
    assert_eq!(unused(NOW).await, ids(&[1, 3, 4]));
    assert_eq!(unused(at(3)).await, ids(&[1, 4]), "the third is younger");
    assert_eq!(find(&*store, 4).await.reachable(), None);
    let page = store.attachments_after(Some(upload(1).id), 2).await.unwrap();
    assert_eq!(page.iter().map(|view| view.id).collect::<Vec<_>>(), ids(&[2, 3]));

    history.keeps("ann", Keeps::AttachmentRemoved(upload(1).id));
    history.keeps("ann", Keeps::AttachmentRemoved(upload(1).id));
    let short = uploaded(&mut history, "ann", 5);
    history.keeps("ann", Keeps::AttachmentRemoved(short.id));
    history.settle(&*store).await;
    for gone in [1, 5] {
        assert_eq!(store.attachment(upload(gone).id).await.unwrap(), None);
    }
    let (tenant, ann, asked) = (tenant(), user("ann"), ids(&[1, 2, 3, 4, 9]));
    let own = store.own_attachments(&tenant, &ann, &asked).await.unwrap();
    let mut own: Vec<_> = own.into_iter().map(|view| view.id).collect();
    own.sort_unstable();
    assert_eq!(own, ids(&[2, 3]));
}
