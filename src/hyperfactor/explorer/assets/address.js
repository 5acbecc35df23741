// The state of a page is in its address: each function writes it there, and the values beside the scales.
const tell = (id, text) => {
  const place = document.getElementById(id);
  if (place) place.textContent = text;
};
const write = (query) => {
  history.replaceState(history.state, '', '?' + query);
  return '';
};
const last = (steps) => steps[steps.length - 1];

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  address: {
    run: (values, seed, step, of, ids) => {
      const query = new URLSearchParams();
      ids.forEach((id, k) => {
        query.set('f.' + id.of, +(+values[k]).toPrecision(6)); // f. keeps names of factors apart from those below
        tell(`factor-${id.of}-value`, (+values[k]).toFixed(2));
      });
      query.set('seed', seed ?? 0);
      if (of.steps[step] !== last(of.steps)) query.set('step', of.steps[step]);
      if (ids.length > 2) {
        query.set('h', of.h);
        query.set('v', of.v);
      }
      if (of.by !== 'right') query.set('by', of.by);
      tell('step-value', of.steps[step]);
      return write(query);
    },
    representation: (layer, timestep, step, view, colour, of) => {
      const query = new URLSearchParams({layer, view, colour});
      if (+timestep) query.set('timestep', timestep);
      if (of.steps[step] !== last(of.steps)) query.set('step', of.steps[step]);
      tell('at-step-value', of.steps[step]);
      tell('at-timestep-value', timestep);
      return write(query);
    },
    percolation: (...values) => {
      const query = new URLSearchParams();
      ['sigma', 'threshold', 'lambda'].forEach((name, k) => {
        query.set(name, +(+values[k]).toFixed(3));
        tell(`percolation-${name}-value`, (+values[k]).toFixed(3));
      });
      return write(query);
    },
  },
});
