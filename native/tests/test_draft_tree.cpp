#include "check.hpp"
#include "draft/draft_tree.hpp"

using hd::DraftTree;
using hd::Tier;

int main() {
    DraftTree tree;
    CHECK(!tree.check(100).empty());

    const int root = tree.add(7, -1, Tier::target, 1.0f);
    const int a = tree.add(1, root, Tier::context, 0.9f);
    const int b = tree.add(2, a, Tier::context, 0.5f);
    const int c = tree.add(3, root, Tier::model, 0.1f);
    CHECK(tree.check(100).empty());
    CHECK(tree.size() == 4 && tree.leaves() == 2);
    CHECK(tree.depth[static_cast<size_t>(b)] == 2);
    CHECK(tree.child(root, 1) == a && tree.child(root, 3) == c && tree.child(a, 2) == b);
    CHECK(tree.child(root, 2) == -1 && tree.child(b, 3) == -1);

    const int32_t told[] = {1, 2, 3}, other[] = {3, 2};
    CHECK((tree.follow(told, 3) == std::vector<int32_t>{root, a, b}));
    CHECK((tree.follow(other, 2) == std::vector<int32_t>{root, c}) && tree.follow(told, 0).size() == 1);

    CHECK(!tree.check(3).empty());  // token 7 is outside a vocabulary of 3

    DraftTree twice = tree;
    twice.add(3, root, Tier::context, 0.1f);
    CHECK(!twice.check(100).empty());  // duplicate sibling

    DraftTree jump = tree;
    jump.add(9, a, Tier::context, 0.1f);
    CHECK(!jump.check(100).empty());  // subtree of `a` was already left

    DraftTree two_roots = tree;
    two_roots.add(9, -1, Tier::context, 0.1f);
    CHECK(!two_roots.check(100).empty());

    tree.clear();
    CHECK(tree.size() == 0 && tree.leaves() == 0);
    return failures();
}
