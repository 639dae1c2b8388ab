// Trains a small residual network with the library, saves it, reads it back and evaluates it.
// CMakeLists.txt: find_package(bntrain REQUIRED); target_link_libraries(train PRIVATE bntrain::bntrain)
#include <atomic>
#include <bntrain/error.hpp>
#include <bntrain/evaluate.hpp>
#include <bntrain/model_file.hpp>
#include <bntrain/train.hpp>
#include <cstdio>

struct Printer : bntrain::TrainObserver {
  void on_epoch(const bntrain::EpochResult& epoch) override {
    std::printf("epoch %d: loss %.4f, test accuracy %.4f\n", static_cast<int>(epoch.epoch), epoch.train.loss,
                epoch.test.accuracy);
  }
};

int main() try {
  const bntrain::Dataset data = bntrain::make_synthetic({.classes = 4});  // or load_idx_dataset("FOLDER")
  std::string note;  // why it runs on the CPU, where there is no GPU
  const auto backend = bntrain::make_backend({}, note);

  bntrain::TrainConfig config;
  config.network = "conv8x3,bn,relu,res(conv8x3p1,bn,relu,conv8x3p1,bn),relu,maxpool2,fc4";
  config.init = bntrain::Init::he;
  config.epochs = 3;
  config.optimizer = {.kind = bntrain::OptimizerKind::adamw, .lr = 3e-3, .weight_decay = 0.01};
  config.schedule.text = "onecycle";
  bntrain::Trainer trainer(config, data, *backend);
  Printer printer;
  const std::atomic<bool> stop{false};
  trainer.run(printer, stop);
  bntrain::save_model("model.safetensors", trainer.model());

  const bntrain::Model model = bntrain::load_model("model.safetensors");
  bntrain::Evaluator evaluator(model.network, model.batch_norm, data.test, 256, *backend);
  evaluator.load(model.state);
  const double accuracy = evaluator.evaluate().metrics.accuracy;
  std::printf("read back: test accuracy %.4f\n", accuracy);
  return accuracy > 0.5 ? 0 : 1;
} catch (const bntrain::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_code();
}
