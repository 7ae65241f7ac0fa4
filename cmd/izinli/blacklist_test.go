package main

import "testing"

// What is written beside an address is there when the list is read, and in the trail.
func TestBlacklistNoteByHand(t *testing.T) {
	s := newShell(t)
	st, _ := s.panelServer()
	s.run("account", "add", "--name", "Örnek")
	s.run("blacklist", "add", "0532 123 45 67", "--account", "1", "--note", "telefonda istedi")
	s.has(s.run("blacklist", "list", "--account", "1", "--full"), "+905321234567", "telefonda istedi")
	page, err := st.Audits(t.Context(), "", 1)
	if err != nil || len(page.Items) != 1 {
		t.Fatal(page, err)
	}
	s.has(string(page.Items[0]), `"what":"PutBlacklist"`, `"note":"telefonda istedi"`, "+90532*****67")
	s.run("blacklist", "remove", "+905321234567", "--account", "1")
	if page, err := st.Blacklist(t.Context(), 1, "", 1); err != nil || len(page.Items) != 0 {
		t.Errorf("got %+v, %v", page, err)
	}
}
