// Dash gives its choices the roles of a list box, around inputs that have roles of their own, and no name.
// Here they become groups of radio buttons or check boxes, which screen readers and keyboards know.
const mend = () => {
  for (const list of document.querySelectorAll('.dash-options-list')) {
    const words = list.closest('[data-words]');
    list.setAttribute('role', list.matches('.dash-radioitems') ? 'radiogroup' : 'group');
    if (words) list.setAttribute('aria-label', words.dataset.words);
    list.removeAttribute('aria-multiselectable');
  }
  for (const label of document.querySelectorAll('.dash-options-list-option[role], .dash-options-list-option[aria-selected]')) {
    label.removeAttribute('role');
    label.removeAttribute('aria-selected');
  }
};
new MutationObserver(mend).observe(document, {childList: true, subtree: true, attributeFilter: ['aria-selected']});
