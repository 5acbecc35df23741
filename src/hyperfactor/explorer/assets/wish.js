// What a visitor wants of the layer that is shown. Each request carries it: a newer request replaces one that has no
// answer yet, and the click with it.
window.dash_clientside = Object.assign({}, window.dash_clientside, {
  wish: {
    representation: (...given) => {
      const changed = dash_clientside.callback_context.triggered.map((one) => one.prop_id.split('.')[0]);
      if (changed.includes('stop')) return {measure: false, stop: true};
      if (changed.includes('measure')) return {measure: true, stop: false};
      const same = changed.length > 0 && changed.every((id) => id === 'view' || id === 'colour');
      return {measure: same && !!given.at(-1)?.measure, stop: false};
    },
  },
});
